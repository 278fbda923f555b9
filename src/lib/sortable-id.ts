import { randomFillSync } from 'node:crypto'

// Crockford's alphabet: no letter that is read as a digit, and sorted as its bytes are.
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const pool = Buffer.allocUnsafe(9 * 512)
let next = pool.length

/**
 * An id of `prefix` and 24 characters, 48 bits of time and 72 random ones: rows that are written together lie
 * together in an index, and nobody can guess one.
 */
export function createSortableId(prefix: string, now: number): string {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  let text = sortableIdFrom(prefix, now)
  // 72 bits as 14 characters of 5, the last two bits unused.
  let bits = 0
  let held = 0
  let left = 14
  for (let index = 0; left > 0; index++) {
    bits = ((bits << 8) | (pool[next + index] ?? 0)) & 0xfff
    held += 8
    while (held >= 5 && left > 0) {
      held -= 5
      text += alphabet[(bits >> held) & 31]
      left--
    }
  }
  next += 9
  return text
}

/** What every id of `prefix` that is made from `at` on sorts after, and every earlier one before. */
export function sortableIdFrom(prefix: string, at: number): string {
  const time = Math.max(0, at)
  let text = prefix
  for (let shift = 45; shift >= 0; shift -= 5) text += alphabet[Math.floor(time / 2 ** shift) % 32]
  return text
}

/** When an id of `prefix` was made, epoch milliseconds; undefined where a text is no such id. */
export function timeOfSortableId(prefix: string, text: string): number | undefined {
  const written = text.slice(prefix.length)
  if (!text.startsWith(prefix) || !/^[0-9a-hjkmnp-tv-z]{24}$/.test(written)) return undefined
  return [...written.slice(0, 10)].reduce((time, letter) => time * 32 + alphabet.indexOf(letter), 0)
}
