import { crc32 } from 'node:zlib'
import { base62Of, randomBase62 } from '#lib/base62.ts'
import { holdsControl } from '#lib/control-characters.ts'

/**
 * Access tokens. Our own are `sk-tg-`, 32 random base62 characters and 6 of CRC-32 over the text before, so that a
 * secret scanner can tell a real one from a typo (`sk-` because some clients insist on it). Access tokens that an
 * administrator chooses may be any 1 to 512 characters except control characters.
 */
const prefix = 'sk-tg-'
const randomLength = 32
const checkLength = 6

const accessTokenLengthMax = 512

export function createAccessToken(): string {
  const body = prefix + randomBase62(randomLength)
  return body + base62Of(crc32(body), checkLength)
}

const ownForm = new RegExp(`^${prefix}[0-9A-Za-z]{${randomLength + checkLength}}$`)

/** Whether a string has the form of our own, its checksum included: such a one cannot be found by guessing. */
export function isOwnAccessToken(text: string): boolean {
  if (!ownForm.test(text)) return false
  const body = text.slice(0, -checkLength)
  return text.endsWith(base62Of(crc32(body), checkLength))
}

/** Whether a string could be an access token, our own or a chosen one. */
export function mayBeAccessToken(text: string): boolean {
  return text.length >= 1 && text.length <= accessTokenLengthMax && !holdsControl(text)
}

/** The part of an access token that may be shown: enough to recognise it, too little to use it. */
export function shownPartOf(accessToken: string): string {
  const kept = Math.min(4, Math.floor(accessToken.length / 4))
  const head = accessToken.startsWith(prefix) ? prefix : ''
  return `${head}…${kept > 0 ? accessToken.slice(-kept) : ''}`
}
