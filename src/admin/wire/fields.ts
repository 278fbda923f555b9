import { z } from '@hono/zod-openapi'
import { instantMax, instantMessage, readInstant } from '#core/instant.ts'
import { isNetwork, parseNetwork } from '#core/network.ts'
import { mayBeTag, tagLengthMax, tagsMax } from '#core/tags.ts'
import { sumMax, unitsMax } from '#core/units.ts'
import { isUserId, userIdPattern } from '#core/user-id.ts'
import { holdsControl } from '#lib/control-characters.ts'
import { askedTimePattern, linePattern, tagPattern, textPattern } from './patterns.ts'

/**
 * The kinds of values that the admin API takes. Every text is bounded and well-formed Unicode without U+0000,
 * which PostgreSQL cannot keep; lengths are counted in characters, not in UTF-16 units.
 */

/** A text of one line. */
export function lineField(max: number) {
  return z
    .string()
    .refine((text) => isWithin(text, max), { error: `must be at most ${max} characters long`, abort: true })
    .refine((text) => text.isWellFormed() && !holdsControl(text), 'must not hold control characters')
    .openapi({ maxLength: max, pattern: linePattern })
}

/** A text that may have line breaks. */
export function textField(max: number) {
  return z
    .string()
    .refine((text) => isWithin(text, max), { error: `must be at most ${max} characters long`, abort: true })
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'must be well-formed text without U+0000')
    .openapi({ maxLength: max, pattern: textPattern })
}

/** A whole number within bounds; any fault gives the same message. */
export function wholeField(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error, abort: true }).min(min, error).max(max, error)
}

/**
 * A whole number from 1 in a query.
 *
 * @param digitsMax leading zeros included
 */
export function wholeParameter(max: number, digitsMax: number) {
  const error = `must be a whole number from 1 to ${max}`
  return z
    .string()
    .regex(new RegExp(`^\\d{1,${digitsMax}}$`), error)
    .transform(Number)
    .refine((number) => number >= 1 && number <= max, error)
    .openapi({ type: 'integer', minimum: 1, maximum: max })
}

/** Names a user in a query or body where an access token must not stand. */
export function userIdField() {
  return z.string().refine(isUserId, 'must be a user’s id (usr_…)').openapi({ pattern: userIdPattern.source })
}

/** An instant in an answer: epoch milliseconds. */
export function timeField() {
  return wholeField(0, instantMax).openapi({ format: 'int64', description: 'Epoch milliseconds.' })
}

/** A query parameter that names an instant. */
export function timeParameter(what: string) {
  return z
    .string()
    .optional()
    .openapi({
      pattern: askedTimePattern,
      description: `${what} Epoch milliseconds, a date (its first instant in the configured time zone), or a time such as 2026-11-22T13:00:00Z.`,
    })
}

/** An instant in a body: epoch milliseconds, or a text with its offset. */
export function timeInput() {
  const milliseconds = z
    .number()
    .openapi({ type: 'integer', format: 'int64', minimum: 0, maximum: instantMax })
  const text = z.string().openapi({ format: 'date-time' })
  return z
    .union([milliseconds, text], { error: instantMessage })
    .transform((value, context) => {
      const reading = readInstant(value)
      if (reading.kind === 'read') return reading.value
      context.addIssue({ code: 'custom', message: reading.message })
      return z.NEVER
    })
    .openapi({
      description:
        'Epoch milliseconds, or a time with its offset such as 2026-11-22T13:00:00Z. A number from 10^8 to 10^11 is ' +
        'refused: it would be Unix time in seconds.',
    })
}

/** A count in an answer: a sum, exact to 2^53. */
export function countField() {
  return wholeField(0, sumMax).openapi({ format: 'int64' })
}

/**
 * A count in a body. A sum can exceed the bound of a single figure; it may be sent back, and is checked against the
 * stored one.
 */
export function countInput() {
  return wholeField(0, sumMax).openapi({ format: 'int64', maximum: unitsMax })
}

/** A limit: 0 allows none, -1 is unlimited. */
export function limitField() {
  return wholeField(-1, unitsMax).openapi({
    format: 'int64',
    description: '0 allows nothing, -1 is unlimited; absent: the configured default.',
  })
}

/** The number of users, keys or rows in an answer; the contract uses 32 bits for it. */
export function lengthField() {
  return wholeField(0, 2_147_483_647).openapi({ format: 'int32' })
}

/** The status of an HTTP answer: three digits, whatever an upstream sends. */
export function statusField() {
  return wholeField(0, 999)
}

/** A number of days, or -1 for ever. */
export function daysField() {
  return wholeField(-1, daysMax)
    .refine((days) => days !== 0, 'must be at least 1, or -1 for ever')
    .openapi({ description: 'At least 1; -1 for ever; absent: the configured default.', not: { const: 0 } })
}

/** A century: no address was seen longer ago. */
const daysMax = 36_500

const listMax = 256

export function networksField() {
  const network = z
    .string()
    .max(64)
    .refine(isNetwork, 'must be an address or a network such as 10.0.0.0/8')
    .overwrite((text) => parseNetwork(text) ?? text)
  return z.array(network).max(listMax)
}

export function modelsField() {
  const model = lineField(256)
    .refine((text) => text !== '', 'must not be empty')
    .openapi({ minLength: 1 })
  return z.array(model).max(listMax)
}

/** The tags of a user, each once. */
export function tagsField() {
  return z.array(tagField()).max(tagsMax, `must be at most ${tagsMax} tags`)
}

export function tagField() {
  return lineField(tagLengthMax)
    .refine(mayBeTag, 'must not be empty, hold a comma, or begin or end with white space')
    .openapi({ pattern: tagPattern })
}

const metaBytesMax = 16_384
const metaDepthMax = 16

/** Any data that an operator keeps with a user, limited so that a list of users stays small. */
export function metaField() {
  return z
    .record(z.string(), z.unknown())
    .refine((meta) => isShallow(meta), {
      error: `must not be nested more than ${metaDepthMax} deep`,
      abort: true,
    })
    .refine(
      (meta) => mayBeKept(meta),
      `must be well-formed text without U+0000, of at most ${metaBytesMax} bytes as JSON`,
    )
}

function isWithin(text: string, max: number): boolean {
  if (text.length <= max) return true
  // A text with more than twice as many UTF-16 units is certainly too long; counting the characters of a huge text
  // would be slow.
  return text.length <= 2 * max && [...text].length <= max
}

/** Walked level by level: recursion over client input could exhaust the stack. */
function isShallow(value: unknown): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > metaDepthMax) return false
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return true
}

function mayBeKept(meta: Readonly<Record<string, unknown>>): boolean {
  const text = JSON.stringify(meta)
  // JSON.stringify writes lone surrogates as escapes, so the text itself is always well-formed.
  const holdsBadEscape = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/.test(text)
  return Buffer.byteLength(text) <= metaBytesMax && !holdsBadEscape
}
