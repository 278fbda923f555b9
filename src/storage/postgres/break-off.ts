import type { Socket } from 'node:net'

/**
 * Ends a connection at once: what was not sent yet stays unsent, where a farewell would wait for a network that may be
 * gone. A socket that is ending already cannot be reset, and is destroyed.
 */
export function breakOffSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
