import type { Socket } from 'node:net'

/**
 * Ends a connection at once. Unsent data is dropped: an orderly end would wait for a network that may be gone. A
 * socket that is already ending cannot be reset, so it is destroyed.
 */
export function breakOffSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
