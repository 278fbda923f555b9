import { isUnits } from '#core/units.ts'
import { quote } from '#lib/json-elements.ts'

/** What answers hold is not ours: whatever is not of the expected shape is as good as absent. */

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

/** Whatever JSON these bytes hold; undefined where they hold none. */
export function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

/** The string that these bytes hold; undefined where they hold none. */
export function stringOf(bytes: Buffer): string | undefined {
  const value = bytes[0] === quote ? parse(bytes) : undefined
  return typeof value === 'string' ? value : undefined
}

/**
 * A count that can be booked: whole, not negative, within the bound of every figure from outside. One beyond it says
 * nothing of what was used, so that the estimate stands in its place.
 */
export function figureOf(record: JsonRecord | undefined, key: string): number | undefined {
  const value = record?.[key]
  return isUnits(value) ? value : undefined
}

/**
 * Whether one of these members is a number that is no count. Taken for absent it would be charged as nothing, though
 * the rest of the record looks whole: the record as a whole then counts as not stated.
 */
export function holdsAbsurd(record: JsonRecord, keys: readonly string[]): boolean {
  return keys.some((key) => typeof record[key] === 'number' && !isUnits(record[key]))
}
