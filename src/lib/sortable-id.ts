import { randomFillSync } from 'node:crypto'

// Crockford's alphabet: no letter that is read as a digit, and sorted as its bytes are.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const pool = Buffer.allocUnsafe(9 * 512)
let next = pool.length

/**
 * An id of `prefix` and 24 characters, 48 bits of time and 72 random ones: rows that are written together lie together
 * in an index, and an id cannot be guessed.
 */
export function createSortableId(prefix: string, now: number): string {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  // 70 of the 72 bits, as two texts of 7 characters. Short texts are joined by copying. A long one that grows by a
  // character at a time becomes a chain of pieces, which costs a microsecond when it is first looked up.
  const first = sevenLetters(next, 0)
  const second = sevenLetters(next + 4, 3)
  next += 9
  return sortableIdFrom(prefix, now) + first + second
}

/** 35 bits of the pool, from a bit of a byte on. */
function sevenLetters(at: number, skippedBits: number): string {
  let bits = pool[at] ?? 0
  let held = 8 - skippedBits
  let text = ''
  for (let index = at + 1; text.length < 7; ) {
    if (held < 5) {
      bits = ((bits << 8) | (pool[index] ?? 0)) & 0xffff
      held += 8
      index += 1
    }
    held -= 5
    text += alphabet[(bits >> held) & 31]
  }
  return text
}

/** A text that sorts before every id of `prefix` that is made from `at` on, and after every earlier one. */
export function sortableIdFrom(prefix: string, at: number): string {
  const time = Math.max(0, at)
  let text = ''
  for (let shift = 45; shift >= 0; shift -= 5) text += alphabet[Math.floor(time / 2 ** shift) % 32]
  return prefix + text
}

/** When an id of `prefix` was made, epoch milliseconds; undefined where the text is not such an id. */
export function timeOfSortableId(prefix: string, text: string): number | undefined {
  const written = text.slice(prefix.length)
  if (!text.startsWith(prefix) || !/^[0-9a-hjkmnp-tv-z]{24}$/.test(written)) return undefined
  return [...written.slice(0, 10)].reduce((time, letter) => time * 32 + alphabet.indexOf(letter), 0)
}
