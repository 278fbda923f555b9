import { type ErrorRow, errorTable, type Problem } from './errors.ts'

/**
 * The retry headers of an answer, for every plane. The observed clients obey one of two headers, or none: `retry-after`
 * says that waiting helps and how long, `x-should-retry: false` that it does not. Never both: some clients wait
 * silently for a `retry-after` of hours, whatever other header is sent.
 */

/** A program should not wait longer than this by itself: its user has to see the refusal. */
const clientPatienceMs = 60_000

/**
 * The headers, times in epoch milliseconds. Both are absent where it is not known when asking again helps: then the
 * client's own pauses apply.
 *
 * @param patienceMs a longer wait is sent as one that does not help
 */
export function againHeaders(
  problem: Problem,
  now: number,
  patienceMs = clientPatienceMs,
): Readonly<Record<string, string>> {
  const retryAt = retryAtOf(problem, now)
  if (retryAt !== undefined && retryAt - now <= patienceMs)
    return { 'retry-after': String(retryAfterSeconds(retryAt, now)) }
  return isOpen(problem) ? {} : { 'x-should-retry': 'false' }
}

/** When trying again may help; for conditions that pass within seconds an instant is assumed. */
function retryAtOf({ code, retryAt }: Problem, now: number): number | undefined {
  const row: ErrorRow = errorTable[code]
  return retryAt ?? (row.again === 'soon' ? now + 1000 : undefined)
}

function isOpen({ code, isLasting }: Problem): boolean {
  const row: ErrorRow = errorTable[code]
  return row.again === 'unknown' && !isLasting
}

/** Whole seconds, at least 1. */
function retryAfterSeconds(retryAt: number, now: number): number {
  return Math.max(1, Math.ceil((retryAt - now) / 1000))
}
