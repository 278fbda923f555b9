import { type Policy, type RateView, type Refused, refuse, type UserState } from '#core/admission.ts'
import type { LimitFacts } from '#core/errors.ts'
import { takeRate } from '#core/rate.ts'
import { UNLIMITED } from '#core/user.ts'

/** Limits on a number of requests, in a minute and at once: both count requests of every model. */
export function decideRate(user: UserState, policy: Policy, now: number) {
  const limit = numberLimit(user, user.limits.requestsPerMinute, policy.defaults.requestsPerMinute)
  if (limit === undefined) return undefined
  const message = `This access token is limited to ${limit} requests per minute.`
  const facts: LimitFacts = { name: 'requestsPerMinute', limit, used: limit }
  if (limit === 0) return { ...refuse('rate_limited', message), limit: facts }
  const answer = takeRate(user.arrivalAt, limit, now)
  if (answer.kind === 'beyond') {
    const { retryAt, resetAt } = answer
    const view = { limit, remaining: 0, resetAt }
    return { ...refuse('rate_limited', message), retryAt, limit: { ...facts, resetAt }, rate: view }
  }
  const view: RateView = { limit, remaining: answer.remaining, resetAt: answer.resetAt }
  return { kind: 'within' as const, arrivalAt: answer.arrivalAt, view }
}

/** How soon to ask again after a refusal that only running requests caused: when one ends is not known. */
export const soonMs = 1000

export function whetherCrowded(user: UserState, policy: Policy, now: number): Refused | undefined {
  const limit = numberLimit(user, user.limits.concurrentRequests, policy.defaults.concurrentRequests)
  if (limit === undefined || user.openRequests < limit) return undefined
  const message = `This access token is limited to ${limit} requests at once.`
  const facts: LimitFacts = { name: 'concurrentRequests', limit, used: user.openRequests }
  const refused = { ...refuse('concurrency_limited', message), limit: facts }
  return limit === 0 ? refused : { ...refused, retryAt: now + soonMs }
}

/** The limit of a number that applies to this user; undefined where it is unlimited. */
export function numberLimit(
  user: UserState,
  own: number | undefined,
  byDefault: number | undefined,
): number | undefined {
  const limit = own ?? byDefault ?? UNLIMITED
  return limit === UNLIMITED || user.type === 'special' ? undefined : limit
}
