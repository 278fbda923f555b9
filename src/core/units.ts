/**
 * Bounds of figures. A figure that comes from outside (a request, an answer, an admin body, an event, an import) is
 * bounded where it enters, and every sum of figures saturates, so that no figure can make a row that cannot be read
 * or written again.
 */

/** The bound of one figure from outside: far beyond any request, and far enough below 2^53 for sums. */
export const unitsMax = 1_000_000_000_000

/** The bound of a stored sum: 64-bit columns hold more, but JavaScript's numbers are exact only up to this. */
export const sumMax = Number.MAX_SAFE_INTEGER

/** Whether a figure from outside is valid: whole, not negative, within the bound. */
export function isUnits(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= unitsMax
}

/** What is said of a count beyond the bound that does not stand already. */
export const countMessage = `must be a whole number from 0 to ${unitsMax}`

/** Adds (or, below zero, takes away) units and stays exact: the sum saturates at both ends. */
export function addUnits(sum: number, units: number): number {
  return toSum(sum + units)
}

/** The nearest valid sum to a number: whole, exact at both ends; NaN is 0. */
export function toSum(value: number): number {
  if (Number.isSafeInteger(value)) return value
  return Math.max(-sumMax, Math.min(sumMax, Math.trunc(value) || 0))
}

/** The nearest sum that is not negative. */
export function toCount(value: number): number {
  return Math.max(0, toSum(value))
}

/** The nearest valid figure to a number: whole, not negative, within the bound; NaN is 0. */
export function toUnits(value: number): number {
  return Math.min(unitsMax, toCount(value))
}

/**
 * The units that a request asks for, where its reader returned an absurd figure. NaN becomes the bound, so that a limit
 * refuses it; a fraction of a unit becomes a whole one.
 */
export function toNeed(value: number): number {
  if (Number.isNaN(value)) return sumMax
  return toCount(Math.ceil(value))
}
