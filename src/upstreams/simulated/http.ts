import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, createGzip, gzipSync } from 'node:zlib'
import type { RequestBody } from './answer.ts'

/** The parts of HTTP that the simulated upstream needs. */

/** Compressed, and flushed at every write as providers do, so that events do not wait for a full block. */
export function zipped(response: ServerResponse) {
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
  gzip.pipe(response)
  return gzip
}

/** Fires when the client goes away before the answer's end. */
export function signalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.on('close', () => {
    if (!response.writableEnded) controller.abort()
  })
  return controller.signal
}

export function send(response: ServerResponse, status: number, text: string, asGzip = false): void {
  const body = asGzip ? gzipSync(text) : text
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(asGzip && { 'content-encoding': 'gzip' }),
  })
  response.end(body)
}

export function holdsKey(request: IncomingMessage, apiKey: string): boolean {
  return request.headers['x-api-key'] === apiKey || request.headers.authorization === `Bearer ${apiKey}`
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return (pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)).toString()
}

export function parseBody(text: string): RequestBody | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as RequestBody)
      : undefined
  } catch {
    return undefined
  }
}
