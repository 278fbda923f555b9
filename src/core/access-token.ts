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

/** Whether a text has the form of the SHA-256 of an access token of which nothing else is known. */
export function isTokenDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

/**
 * An access token as it is shown to who may not see it: `sk-tg-AbCd…wxyz`. Of one of our own 28
 * random characters stay hidden. A chosen one may be short, and shows only what a search finds it by.
 */
export function maskOf(accessToken: string): string {
  if (!isOwnAccessToken(accessToken)) return shownPartOf(accessToken)
  const head = accessToken.slice(0, prefix.length + 4)
  return `${head}…${accessToken.slice(-4)}`
}

const mask = new RegExp(`^(?:${prefix}(?:[0-9A-Za-z]{4})?)?….{0,4}$`, 'su')

/** Whether a text has the form of a masked access token. */
export function isMask(text: string): boolean {
  return mask.test(text)
}

/** The part of an access token that may be shown: enough to recognise it, too little to use it. */
export function shownPartOf(accessToken: string): string {
  const kept = Math.min(4, Math.floor(accessToken.length / 4))
  const head = accessToken.startsWith(prefix) ? prefix : ''
  return `${head}…${kept > 0 ? accessToken.slice(-kept) : ''}`
}
