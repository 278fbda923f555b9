/**
 * Instants from outside: epoch milliseconds, or text with its offset from UTC (ISO 8601 in the profile of RFC 3339;
 * seconds may be left out). Ambiguous values are refused: a date alone, and a time without an offset. A number that is
 * Unix time in seconds is refused too, since as milliseconds it would be in 1970.
 */

import { read, type TextReading, unreadable } from '#lib/reading.ts'

/** The latest instant that a Date can hold (ECMA-262, 21.4.1.1), in epoch milliseconds. */
export const instantMax = 8_640_000_000_000_000

/** The message for a value that is not an instant. */
export const instantMessage = `must be epoch milliseconds from 0 to ${instantMax}, or a time with its offset such as 2026-11-22T13:00:00Z`

export function readInstant(value: unknown): TextReading<number> {
  const at = typeof value === 'string' ? instantOfText(value) : value
  if (typeof value === 'number' && isInSeconds(value)) return unreadable(secondsMessage(value))
  const isInstant = typeof at === 'number' && Number.isInteger(at) && at >= 0 && at <= instantMax
  return isInstant ? read(at) : unreadable(instantMessage)
}

/** As seconds from 1973 to 5138, and as milliseconds before 3 March 1973. */
export function isInSeconds(value: number): boolean {
  return value >= 100_000_000 && value < 100_000_000_000
}

/** The message for a time for which `isInSeconds` is true. */
export function secondsMessage(value: number): string {
  return `is a time in seconds, but times are in milliseconds: send ${Math.round(value * 1000)}`
}

/** Epoch milliseconds of a time with its offset; undefined where the text is not one. */
export function instantOfText(text: string): number | undefined {
  const [, date] =
    /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/i.exec(text) ?? []
  if (date === undefined || !isDate(date)) return undefined
  const at = Date.parse(text.toUpperCase())
  return Number.isNaN(at) ? undefined : at
}

/** Whether the date exists: Date would read 30 February as 2 March. */
export function isDate(date: string): boolean {
  const at = Date.parse(date)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(date)
}
