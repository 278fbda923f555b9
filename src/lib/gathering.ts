import { setImmediate } from 'node:timers/promises'

/**
 * Joins bytes as they come in pieces. Memory grows with the bytes that have come, not with the announced length: the
 * buffer grows fourfold, and the old content is copied in small parts with each new piece. Joining 10 MB at their end
 * would block the event loop (measured: 8 ms).
 */
export interface Gathering {
  /** False where the memory was refused; then nothing more may be added. */
  readonly add: (piece: Buffer) => boolean
  /** All bytes, after the last piece; yields to the event loop while much is copied. */
  readonly whole: () => Promise<Buffer>
  /** Gives back what `mayHold` allowed. */
  readonly leave: () => void
}

/** Reserves bytes of memory; a negative number gives them back. */
export type MayHold = (bytes: number) => boolean

/** The first buffer. A body of this size costs about what its connection costs, and `mayHold` is not asked. */
export const firstPlaceBytes = 64 * 1024
/** With a factor of two, 10 MB took a quarter longer: more was copied, and more new pages were touched. */
const growth = 4
const moveBytes = 1024 * 1024

/** @param bytesMax the largest buffer: the announced length, or the bound of the body */
export function createGathering(bytesMax: number, mayHold: MayHold): Gathering {
  let place = Buffer.alloc(0)
  let filled = 0
  let old = Buffer.alloc(0)
  let moved = 0
  let held = 0

  function move(bytes: number): void {
    const end = Math.min(old.length, moved + bytes)
    if (moved < end) old.copy(place, moved, moved, end)
    moved = end
    if (moved === old.length) {
      old = Buffer.alloc(0)
      moved = 0
    }
  }

  function grow(needed: number): boolean {
    move(Number.POSITIVE_INFINITY)
    const size = Math.max(needed, Math.min(bytesMax, Math.max(firstPlaceBytes, growth * place.length)))
    const more = Math.max(0, size - firstPlaceBytes) - held
    if (more > 0 && !mayHold(more)) return false
    held += Math.max(0, more)
    old = place.subarray(0, filled)
    // Not from the pool, and not zeroed: pages that are never written to take no memory.
    place = Buffer.allocUnsafeSlow(size)
    return true
  }

  function lay(piece: Buffer): boolean {
    if (filled + piece.length > place.length && !grow(filled + piece.length)) return false
    piece.copy(place, filled)
    filled += piece.length
    // Copies twice as fast as new bytes come, so that it is done before the next buffer is needed.
    move(2 * piece.length)
    return true
  }

  return {
    add: lay,
    async whole() {
      while (old.length > 0) {
        move(moveBytes)
        if (old.length > 0) await setImmediate()
      }
      return place.subarray(0, filled)
    },
    leave() {
      if (held > 0) mayHold(-held)
      held = 0
    },
  }
}
