/**
 * Bounds of figures. A figure that comes from outside (a request, an answer, an admin body, an event, an import) is
 * bounded where it enters, and every sum of figures saturates, so that no figure can make a row that cannot be read
 * or written again.
 */

/** The most that one figure from outside may say: far beyond any request, and far enough below 2^53 for sums. */
export const unitsMax = 1_000_000_000_000

/** The most that a stored sum comes to: 64-bit columns hold more, but JavaScript's numbers are exact only up to here. */
export const sumMax = Number.MAX_SAFE_INTEGER

/** Whether a figure from outside can be used as it is: whole, not negative, within the bound. */
export function isUnits(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= unitsMax
}

/** What is said of a count beyond the bound that does not stand already. */
export const countMessage = `must be a whole number from 0 to ${unitsMax}`

/** Adds (or, below zero, takes away) units and stays exact: the sum saturates at both ends. */
export function addUnits(sum: number, units: number): number {
  return toSum(sum + units)
}

/** The nearest sum to any number: whole, exact at both ends; what is no number counts nothing. */
export function toSum(value: number): number {
  if (Number.isSafeInteger(value)) return value
  return Math.max(-sumMax, Math.min(sumMax, Math.trunc(value) || 0))
}

/** The nearest sum that is not negative. */
export function toCount(value: number): number {
  return Math.max(0, toSum(value))
}

/** The nearest figure to any number: whole, not negative, within the bound; what is no number counts nothing. */
export function toUnits(value: number): number {
  return Math.min(unitsMax, toCount(value))
}

/**
 * What a request asks for, where the reader of its figures let something absurd through: what is no number asks for
 * more than there is, so that a limit refuses it, and a part of a unit for a whole one.
 */
export function toNeed(value: number): number {
  if (Number.isNaN(value)) return sumMax
  return toCount(Math.ceil(value))
}
