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

/** Adds (or, below zero, takes away) units and stays exact: the sum saturates at both ends. */
export function addUnits(sum: number, units: number): number {
  return Math.max(-sumMax, Math.min(sumMax, sum + units))
}
