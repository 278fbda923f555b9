import { isClaimCode } from '#core/claim.ts'
import { createThrottled } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import { blockNow, type UserBlock } from '#core/user.ts'
import { type Answer, answered, refuse } from '#http/answer.ts'
import type { BodyBudget } from '#http/body.ts'
import type { Guess } from '#http/guess.ts'
import { readJson, whyNotJson } from '#http/json-body.ts'
import { createPlainApp, type PlainApp } from '#http/plain-app.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Visit, VisitOptions } from '#http/visit.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { problemOfFailure } from '#storage/failure-problem.ts'
import type { ClaimStore } from '#storage/store/claims.ts'
import { createPageRoutes } from './page.ts'

export interface ClaimsOptions extends VisitOptions {
  readonly claims: Pick<ClaimStore, 'findClaim' | 'takeClaim'>
  /** For wrong codes. */
  readonly throttle: Throttle
  readonly bodyBudget?: BodyBudget
}

/**
 * The holder's side of a link that shows an access token once: the page at `/claim`, which sends the code that stands after
 * the `#` of its address. Loading the page uses nothing up, so that a link's preview in a chat does no harm; neither does
 * looking. Confirming shows the access token, once.
 */
export function createClaims(options: ClaimsOptions): PlainApp {
  const { clock, claims } = options

  /** Says what the link is for. */
  async function look(guess: Guess, code: string, visit: Visit): Promise<Answer> {
    const now = clock()
    const found = await claims.findClaim(code, now)
    if (!found) return ended(guess)
    const { claim, user } = found
    visit.userId = user.id
    if (blockNow(user, now)) return blocked(guess, user, now)
    const waitMs = guess.known()
    if (waitMs !== undefined) return throttled(waitMs)
    const { expiresAt, rotation } = claim
    return answered({
      expiresAt,
      rotates: rotation !== undefined,
      ...present({ nickname: user.nickname, graceMs: rotation?.graceMs }),
    })
  }

  async function take(guess: Guess, code: string, visit: Visit): Promise<Answer> {
    const { requestId, address } = visit
    const now = clock()
    const taken = await claims.takeClaim(code, { now, requestId, address })
    switch (taken.kind) {
      case 'ended':
        return ended(guess)
      case 'blocked':
        visit.userId = taken.user.id
        return blocked(guess, taken.user, now)
      case 'taken': {
        guess.admitted()
        const { user, previousUntil } = taken
        visit.userId = user.id
        const { accessToken, nickname } = user
        return answered({ accessToken, ...present({ nickname, previousUntil }) })
      }
    }
  }

  /** The same words for every reason: to a stranger they tell nothing, and a holder needs a new link in each case. */
  function ended(guess: Guess): Answer {
    const waitMs = guess.wrong()
    return waitMs === undefined ? refuse('claim_ended') : throttled(waitMs)
  }

  /** Without the access token, and nothing is used up. */
  function blocked(guess: Guess, user: UserBlock, now: number): Answer {
    const waitMs = guess.known()
    if (waitMs !== undefined) return throttled(waitMs)
    if (blockNow(user, now) === 'user_expired')
      return refuse('user_expired', `The access that this link is for has expired. ${askThem}`)
    const why = user.disabledReason ? `: ${user.disabledReason}` : ''
    return refuse('user_disabled', `The access that this link is for is disabled${why}. ${askThem}`)
  }

  function throttled(waitMs: number): Answer {
    return refused(createThrottled(waitMs, clock()))
  }

  /** The code counts as a guess until it is known. One that has no code's form is wrong without being looked up. */
  async function asGuess(visit: Visit, work: typeof look): Promise<Answer> {
    const code = await readCode(visit, options.bodyBudget)
    if (code.kind === 'refused') return code
    const taken = await options.throttle.take(visit.address, code.value, isClaimCode)
    if (taken.kind === 'closed') return throttled(taken.waitMs)
    const { guess } = taken
    try {
      return isClaimCode(code.value) ? await work(guess, code.value, visit) : ended(guess)
    } finally {
      guess.dropped()
    }
  }

  const post = (name: string, work: typeof look) => ({
    methods: ['POST'],
    template: `/claim/${name}`,
    pattern: new RegExp(`^/claim/${name}$`),
    handle: (visit: Visit) => asGuess(visit, work),
  })
  return createPlainApp(options, {
    takes: (url) => /^\/claim(?:[/?]|$)/.test(url),
    routes: [...createPageRoutes(), post('look', look), post('take', take)],
    problemOf: problemOfFailure,
  })
}

const askThem = 'Ask the administrator who sent it.'

const bodyBytesMax = 4096
const codeLengthMax = 512

/** The code stands in the body: a URL would reach logs. */
async function readCode({ request }: Visit, budget: BodyBudget | undefined): Promise<Reading<string>> {
  const problem = whyNotJson(request.headers['content-type'], request.headers['content-encoding'])
  if (problem) return refused(problem)
  const body = await readJson(request, { bytesMax: bodyBytesMax, budget })
  if (body.kind === 'refused') return body
  const code: unknown = body.kind === 'read' && isRecord(body.value) ? body.value.code : undefined
  if (typeof code === 'string' && code !== '' && code.length <= codeLengthMax) return read(code)
  return refused(badInput([{ path: 'code', message: `must be the link's code, the text after its "#"` }]))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
