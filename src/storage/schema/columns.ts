import { sumMax, toSum, toUnits } from '#core/units.ts'

/**
 * Reading and adding up a row's values. A figure out of range is read as the nearest that is in it, since a row that
 * cannot be read would stand in the way of all others; what is not of the expected kind is a bug.
 */
export function integer(value: unknown): number {
  if (typeof value === 'number') return toSum(value)
  if (typeof value === 'bigint') return toSum(Number(value))
  throw new TypeError(`stored ${String(value)} is no number`)
}

/** A single figure, as of one request. */
export function units(value: unknown): number {
  return toUnits(integer(value))
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`stored ${String(value)} is no text`)
  return value
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : read(value)
}

/** Adds one column to another and saturates; the database itself would fail or go over to fractions beyond 64 bits. */
export function saturating(stored: string, added: string): string {
  return `case when ${stored} > ${sumMax} - ${added} then ${sumMax} else ${stored} + ${added} end`
}

/** The same for what may be far below zero as well. */
export function saturatingBoth(stored: string, added: string): string {
  const isBelow = `${stored} < 0 and ${added} < -${sumMax} - ${stored}`
  const isAbove = `${stored} > 0 and ${added} > ${sumMax} - ${stored}`
  return `case when ${isAbove} then ${sumMax} when ${isBelow} then -${sumMax} else ${stored} + ${added} end`
}

/** The sum of a column over any number of rows; 64 bits would not hold that of a thousand which stand at their bound. */
export function wideSum(expression: string): string {
  return `sum(cast(${expression} as double precision))`
}

/** What counts against quotas of the kinds' sums that a row holds, with what weights made of them. */
export const weighedSum = 'input + cache_read + cache_written + output + reasoning + weighing'

/** What a sum says, no more than a column may hold. */
export function bounded(sum: string): string {
  return `case when ${sum} > ${sumMax} then ${sumMax} else ${sum} end`
}

/** The same for what may be far below zero as well. */
export function boundedBoth(sum: string): string {
  return `case when ${sum} > ${sumMax} then ${sumMax} when ${sum} < -${sumMax} then -${sumMax} else ${sum} end`
}
