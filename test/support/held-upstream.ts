import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A proxy in front of an upstream that can hold requests back until it releases them. */
export interface HeldUpstream {
  readonly url: string
  /** What came in: the target, the headers and the body of each request. */
  readonly seen: string[]
  readonly hold: () => void
  readonly release: () => void
  readonly close: () => Promise<void>
}

export async function openHeldUpstream(upstreamUrl: string): Promise<HeldUpstream> {
  const seen: string[] = []
  let gate = Promise.withResolvers<void>()
  gate.resolve()
  const { hostname, port } = new URL(upstreamUrl)
  const server = createServer((request, response) => {
    void gate.promise.then(() => pass(request, response))
  })
  function pass(request: IncomingMessage, response: ServerResponse): void {
    const { method, headers, url: path } = request
    const passed = httpRequest({ hostname, port, method, headers, path, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    passed.on('error', () => response.destroy())
    response.on('close', () => passed.destroy())
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => seen.push([path, ...request.rawHeaders, Buffer.concat(chunks)].join('\n')))
    request.pipe(passed)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    seen,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold() {
      gate = Promise.withResolvers<void>()
    },
    release: () => gate.resolve(),
    async close() {
      gate.resolve()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
