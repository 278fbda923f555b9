import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
  /** False where the connection broke before the answer's end. */
  readonly isWhole: boolean
}

export interface Call {
  readonly method?: string
  readonly path: string
  readonly accessToken?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Text and bytes are sent unchanged, other values as JSON. */
  readonly body?: unknown
  /** To be called as the answer's body comes, with all of it up to then. */
  readonly onBody?: (text: string) => void
}

/** Sends one request on a connection of its own and reads the answer, as far as it comes. */
export function call(
  port: number,
  { method = 'POST', path, accessToken, headers = {}, body, onBody }: Call,
): Promise<Answer> {
  const payload =
    body === undefined
      ? undefined
      : typeof body === 'string' || Buffer.isBuffer(body)
        ? body
        : JSON.stringify(body)
  const all = {
    ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
    ...(payload !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
    }),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, headers: all, agent: false }
    const sent = httpRequest(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        onBody?.(Buffer.concat(chunks).toString())
      })
      response.on('error', () => {})
      response.on('close', () => {
        const bytes = Buffer.concat(chunks)
        const { statusCode: status = 0, headers: received, complete: isWhole } = response
        resolve({ status, headers: received, bytes, text: bytes.toString(), isWhole })
      })
    })
    sent.on('error', reject)
    // As bytes: node:http would send the headers in the encoding of a text that is sent with them.
    sent.end(typeof payload === 'string' ? Buffer.from(payload) : payload)
  })
}

/** A connection on which a test sees when each byte arrives, and which it can close at any time. */
export interface RawConnection {
  readonly socket: Socket
  /** Everything that has come so far. */
  readonly received: () => string
  readonly hangUp: () => void
  readonly closed: Promise<void>
}

export function openRaw(
  port: number,
  target: Required<Pick<Call, 'path' | 'accessToken'>> & { body: unknown },
): RawConnection {
  const payload = JSON.stringify(target.body)
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.write(
    `POST ${target.path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer ${target.accessToken}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(payload)}\r\n\r\n${payload}`,
  )
  return { socket, received: () => text, hangUp: () => socket.destroy(), closed }
}

/** Lets a paused connection read on, and keeps of what comes only its length in bytes and its last characters. */
export function readOn({ socket }: RawConnection): {
  readonly received: () => number
  readonly tail: () => string
} {
  let received = 0
  let tail = ''
  socket.removeAllListeners('data')
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    tail = (tail + chunk.toString('latin1')).slice(-400)
  })
  socket.resume()
  return { received: () => received, tail: () => tail }
}
