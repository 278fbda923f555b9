import { type ErrorRow, errorTable, type Problem } from './errors.ts'

/**
 * What an answer says of asking again, for every plane. Clients that were seen obey one of two headers, or none:
 * `retry-after` says that waiting helps and how long, `x-should-retry: false` that it does not. Never both: some
 * clients sleep through a `retry-after` of hours without a word, whatever stands beside it.
 */

/** Longer than this a program does not wait on its own: its user has to hear the refusal. */
const clientPatienceMs = 60_000

/**
 * The headers for it, times in epoch milliseconds. Both are absent where nothing is known of when: then a client's own
 * pauses hold.
 *
 * @param patienceMs beyond it a wait is told as one that does not help
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

/** When trying again may help, also for what passes within seconds though no instant is known for it. */
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
