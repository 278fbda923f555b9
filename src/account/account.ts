import { isOwnAccessToken } from '#core/access-token.ts'
import type { Policy } from '#core/admission.ts'
import { createProblem, createThrottled, type Problem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import { type Answer, answered, refuse } from '#http/answer.ts'
import type { CredentialReader } from '#http/credential.ts'
import { endGuess } from '#http/guess.ts'
import { createPlainApp, type PlainApp } from '#http/plain-app.ts'
import { createReadingRate, type ReadingRate } from '#http/reading-rate.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Visit, VisitOptions } from '#http/visit.ts'
import { read } from '#lib/reading.ts'
import type { Ledger } from '#metering/ledger.ts'
import { problemOfFailure } from '#storage/failure-problem.ts'
import type { UserStore } from '#storage/store/users.ts'
import type { UsageStore } from '#storage/store.ts'
import { parseHistory, tellHistory } from './usage-history.ts'
import { toUsageAnswer } from './usage-wire.ts'

export interface AccountOptions extends VisitOptions {
  readonly ledger: Ledger
  readonly users: Pick<UserStore, 'findUser'>
  readonly usage: UsageStore
  readonly credentialOf: CredentialReader
  readonly policy: Policy
  /** Shared with the gateway: both accept the same credentials. */
  readonly throttle: Throttle
  /** How often a user may read; absent: a rate of this app's own. */
  readonly readingRate?: ReadingRate
}

const usagePath = '/v1/usage'

/**
 * What the holder of an access token may see: `GET /v1/usage`, the user's own usage by family, and over time where a
 * parameter asks for it. The request is authenticated as at the gateway, but it reserves nothing and is not counted, so
 * that it is answered when the quota is used up.
 */
export function createAccount(options: AccountOptions): PlainApp {
  const { clock, throttle, readingRate = createReadingRate(clock) } = options

  async function tellUsage(visit: Visit): Promise<Answer> {
    const accessToken = await admit(visit)
    if (accessToken.kind === 'refused') return accessToken
    const now = clock()
    const user = await options.users.findUser({ accessToken: accessToken.value }, now)
    if (!user) return refuse('unknown_access_token')
    const answer = toUsageAnswer(user, options.policy, now)
    const { timeZone } = options.policy
    const question = parseHistory(visit.query, now, timeZone)
    if (question.kind === 'invalid') return refused(badInput(question.issues))
    if (question.value === undefined) return answered(answer)
    const history = await tellHistory(options.usage, user.id, question.value, timeZone)
    return answered({ ...answer, history })
  }

  /** The access token of a user who may look. */
  async function admit(visit: Visit): Promise<Reading<string>> {
    const { requestId, address, request } = visit
    const accessToken = options.credentialOf(request.headers)
    if (accessToken === undefined) return refuse('missing_credential')
    const tooOften = readingRate.take(accessToken)
    if (tooOften) return refused(tooOften)
    const taken = await throttle.take(address, accessToken, isOwnAccessToken)
    if (taken.kind === 'closed') return refused(throttled(taken.waitMs))
    const { guess } = taken
    try {
      const ask = { requestId, accessToken, address, route: usagePath, isMetered: false }
      const outcome = await options.ledger.admit(ask)
      visit.userId = outcome.user?.id
      const waitMs = endGuess(guess, outcome)
      if (waitMs !== undefined) return refused(throttled(waitMs))
      if (outcome.kind === 'admitted') return read(accessToken)
      if (outcome.code === 'unknown_access_token') readingRate.forget(accessToken)
      const { code, message, retryAt, limit } = outcome
      return refused(createProblem(code, message, { retryAt, limit }))
    } finally {
      guess.dropped()
    }
  }

  function throttled(waitMs: number): Problem {
    return createThrottled(waitMs, clock())
  }

  return createPlainApp(options, {
    takes: (url) => url === usagePath || url.startsWith(`${usagePath}?`),
    routes: [{ methods: ['GET'], template: usagePath, pattern: /^\/v1\/usage$/, handle: tellUsage }],
    problemOf: problemOfFailure,
  })
}
