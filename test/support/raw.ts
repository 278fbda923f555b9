import { connect } from 'node:net'

/** What a connection received, and how long it stayed open. */
export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
  readonly text: string
  readonly openMs: number
}

/** Writes bytes unchanged, reads until the other side closes, and parses the first answer. */
export function exchange(
  port: number,
  bytes: string | Buffer,
  options: { readonly trickleMs?: number; readonly timeoutMs?: number } = {},
): Promise<RawAnswer> {
  const { trickleMs, timeoutMs = 10_000 } = options
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const startedAt = performance.now()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const trickle = trickleMs === undefined ? undefined : setInterval(() => socket.write('x'), trickleMs)
  const timeout = setTimeout(() => {
    socket.destroy()
    reject(new Error(`still open after ${timeoutMs} ms, having got ${JSON.stringify(text.slice(0, 200))}`))
  }, timeoutMs)
  // A reset also counts as closing.
  socket.on('error', () => undefined)
  socket.setEncoding('latin1').on('data', (data: string) => {
    text += data
  })
  socket.on('close', () => {
    clearInterval(trickle)
    clearTimeout(timeout)
    const [head = '', body = ''] = text.split('\r\n\r\n', 2)
    const status = Number(head.split(' ')[1] ?? 0)
    resolve({ status, head, body, text, openMs: performance.now() - startedAt })
  })
  socket.write(bytes)
  return promise
}

/** The bytes of one request that closes the connection after its answer. */
export function requestText(line: string, headers: readonly string[], body = ''): string {
  return [`${line} HTTP/1.1`, ...headers, 'Connection: close', '', body].join('\r\n')
}
