import type { IncomingMessage } from 'node:http'

export type BodyReading =
  | { readonly kind: 'read'; readonly body: Buffer }
  /** Reading has stopped; nobody reads the rest, so the connection cannot be used again. */
  | { readonly kind: 'too_large' }
  /** The client went away before it had sent all of it. */
  | { readonly kind: 'gone' }

/**
 * Reads a whole body of at most `bytesMax` bytes. A `content-length` beyond it is refused before a byte is read;
 * what says no length is refused at the byte that is too much.
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<BodyReading> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return Promise.resolve({ kind: 'too_large' })
  if (request.destroyed && !request.readableEnded) return Promise.resolve({ kind: 'gone' })
  return new Promise((resolve) => {
    const parts = createParts(Number(request.headers['content-length'] ?? 0))
    let bytes = 0
    const finish = (reading: BodyReading) => {
      request.off('data', take).off('end', end).off('close', lose)
      // The error listener stays: a socket may fail after we have stopped caring, and must not end the process.
      resolve(reading)
    }
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bytesMax) return parts.add(chunk)
      request.pause()
      finish({ kind: 'too_large' })
    }
    const end = () => finish({ kind: 'read', body: parts.whole() })
    const lose = () => finish({ kind: 'gone' })
    request.on('data', take).on('end', end).on('close', lose).on('error', lose)
  })
}

/** From here on a body gets its place before it comes. */
const placedBytesMin = 64 * 1024

/**
 * Gathers a body's pieces. One that says it is large is laid down piece by piece as it comes: putting 10 MB together
 * at its end would stop everybody for as long as that takes (measured: 8 ms).
 */
function createParts(announcedBytes: number) {
  const place = announcedBytes >= placedBytesMin ? Buffer.allocUnsafeSlow(announcedBytes) : undefined
  const chunks: Buffer[] = []
  let filled = 0
  return {
    add(chunk: Buffer): void {
      if (place) filled += chunk.copy(place, filled)
      else chunks.push(chunk)
    },
    whole(): Buffer {
      if (place) return place.subarray(0, filled)
      return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    },
  }
}
