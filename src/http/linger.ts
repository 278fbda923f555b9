import type { IncomingMessage } from 'node:http'

/** How long, and how many bytes, a client may go on sending a body after its answer. */
const lingerMs = 2000
const lingerBytes = 64 * 1024 * 1024

/**
 * For an answer that was sent before the whole body had come. Closing at once would reset the connection before the
 * client has read the answer, so further bytes are discarded for a moment; then the connection is cut.
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
