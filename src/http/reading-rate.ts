import { createHash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { takeRate } from '#core/rate.ts'

/**
 * How often a holder may look at usage and models. Looking is not a request to a model, so it costs nothing of
 * `requestsPerMinute`, and a holder whose requests are spent still sees why; but each look asks the store. One
 * bucket per credential and instance. One that turns out to belong to no holder is the throttle's affair: a client that
 * repeats it gets its 401 each time.
 */
export interface ReadingRate {
  /** Counts a look; a problem where there were too many. */
  readonly take: (credential: string) => Problem | undefined
  /** It has no holder. */
  readonly forget: (credential: string) => void
}

/** Far more than people and programs that poll; few enough for a store. */
export const looksPerMinute = 300
/** The one that looked longest ago is forgotten first, which lets it look again a little early. */
const holdersMax = 10_000

export function createReadingRate(clock: Clock): ReadingRate {
  const arrivals = new Map<string, number>()
  const keyOf = (credential: string) => createHash('sha256').update(credential).digest('base64')
  return {
    take(credential) {
      const key = keyOf(credential)
      const answer = takeRate(arrivals.get(key), looksPerMinute, clock())
      if (answer.kind === 'beyond') {
        const message = `Usage and models may be looked at ${looksPerMinute} times a minute.`
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
