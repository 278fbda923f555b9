import type { IncomingMessage } from 'node:http'

/** How long a client that was answered before its body had come may go on sending it, and how much of it. */
const lingerMs = 2000
const lingerBytes = 64 * 1024 * 1024

/**
 * For an answer that was given before the whole body had come. Closing at once would reset the connection under
 * the answer, so what still comes is thrown away for a moment; then the connection is cut.
 */
export function linger(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  const cut = () => {
    if (!request.complete) request.socket.destroy()
  }
  let bytes = 0
  const timer = setTimeout(cut, lingerMs)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > lingerBytes) cut()
  })
  request.on('close', () => clearTimeout(timer)).on('error', () => undefined)
  request.resume()
}
