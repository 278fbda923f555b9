import { isUnits } from '#core/units.ts'
import { quote } from '#lib/json-elements.ts'

/** Answers come from outside: a value that does not have the expected shape counts as absent. */

export type JsonRecord = Readonly<Record<string, unknown>>

export function recordOf(value: unknown): JsonRecord | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonRecord)
    : undefined
}

/** The object that these bytes hold, if they hold one. */
export function parseRecord(bytes: Buffer): JsonRecord | undefined {
  return recordOf(parse(bytes))
}

/** The JSON value that these bytes hold; undefined if they are not JSON. */
export function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

/** The string that these bytes hold; undefined if they are not a JSON string. */
export function stringOf(bytes: Buffer): string | undefined {
  const value = bytes[0] === quote ? parse(bytes) : undefined
  return typeof value === 'string' ? value : undefined
}

/**
 * A count that can be booked: whole, not negative, within the bound of every figure from outside; also one that is written
 * as a string. A count beyond it says nothing about the real usage, so the estimate is used instead.
 */
export function figureOf(record: JsonRecord | undefined, key: string): number | undefined {
  const value = numberOf(record?.[key])
  return isUnits(value) ? value : undefined
}

/**
 * Whether one of these members is a number that is not a valid count. Treated as absent it would be free, although the
 * rest of the record looks complete. So the whole record then counts as not stated.
 */
export function holdsAbsurd(record: JsonRecord, keys: readonly string[]): boolean {
  return keys.some((key) => {
    const value = numberOf(record[key])
    return typeof value === 'number' && !isUnits(value)
  })
}

function numberOf(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
}
