import { createHash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { takeRate } from '#core/rate.ts'

/**
 * How often a user may read usage and models. That is not a request to a model, so it does not count towards
 * `requestsPerMinute`, and a user whose requests are used up can still see why. But each read asks the store, so it has
 * a rate limit of its own: one bucket per credential and instance. A credential that turns out to be unknown is left to
 * the throttle, so that a client that repeats it gets its 401 each time.
 */
export interface ReadingRate {
  /** Counts a read; returns a problem where there were too many. */
  readonly take: (credential: string) => Problem | undefined
  /** The credential is unknown. */
  readonly forget: (credential: string) => void
}

/** Far more than people and polling programs need, and few enough for a store. */
export const looksPerMinute = 300
/** The oldest bucket is removed first, which lets its user read again a little early. */
const holdersMax = 10_000

export function createReadingRate(clock: Clock): ReadingRate {
  const arrivals = new Map<string, number>()
  const keyOf = (credential: string) => createHash('sha256').update(credential).digest('base64')
  return {
    take(credential) {
      const key = keyOf(credential)
      const answer = takeRate(arrivals.get(key), looksPerMinute, clock())
      if (answer.kind === 'beyond') {
        const message = `Usage and models may be read ${looksPerMinute} times a minute.`
        return createProblem('rate_limited', message, { retryAt: answer.retryAt })
      }
      arrivals.delete(key)
      arrivals.set(key, answer.arrivalAt)
      const [oldest] = arrivals.keys()
      if (arrivals.size > holdersMax && oldest !== undefined) arrivals.delete(oldest)
      return undefined
    },
    forget: (credential) => void arrivals.delete(keyOf(credential)),
  }
}
