import { setImmediate } from 'node:timers/promises'

/**
 * Bytes that come in pieces, put together as they come. Memory grows with what has come, never with what was
 * announced: the place grows fourfold, and what the old one holds moves over a little with every new piece. Putting 10 MB
 * together at their end would stop the process for as long as that takes (measured: 8 ms).
 */
export interface Gathering {
  /** False where the memory for it may not be had; then nothing more may be added. */
  readonly add: (piece: Buffer) => boolean
  /** All of it, once nothing more comes; lets the event loop turn while much has to move. */
  readonly whole: () => Promise<Buffer>
  /** Gives back what `mayHold` allowed. */
  readonly leave: () => void
}

/** Sets bytes of memory aside; negative ones are given back. */
export type MayHold = (bytes: number) => boolean

/** The first place; up to here a body costs about what its connection costs, and `mayHold` is not asked. */
export const firstPlaceBytes = 64 * 1024
/** By twice, 10 MB took a quarter longer: more of it moved, and more new pages were touched. */
const growth = 4
const moveBytes = 1024 * 1024

/** @param bytesMax no place is larger: what was announced, or the bound of the whole */
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
    // Not from the pool, and not zeroed: pages that nothing is written to cost no memory.
    place = Buffer.allocUnsafeSlow(size)
    return true
  }

  function lay(piece: Buffer): boolean {
    if (filled + piece.length > place.length && !grow(filled + piece.length)) return false
    piece.copy(place, filled)
    filled += piece.length
    // Twice as fast as new bytes come, so that all has moved before the next place is needed.
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
