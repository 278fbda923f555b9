import type { IncomingMessage, ServerResponse } from 'node:http'
import { isOwnAccessToken } from '#core/access-token.ts'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, createThrottled, type ErrorCode, type Issue, type Problem } from '#core/errors.ts'
import { logAccess } from '#http/access-log.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { credentialOf } from '#http/credential.ts'
import { linger } from '#http/linger.ts'
import type { Log } from '#http/log.ts'
import { renderProblem } from '#http/problem-answer.ts'
import { createReadingRate, type ReadingRate } from '#http/reading-rate.ts'
import { createRequestId } from '#http/request-id.ts'
import { endGuess, type Throttle } from '#http/throttle.ts'
import type { Meter } from '#metering/meter.ts'
import { StoreFault, type UsageStore, type UserStore } from '#storage/store.ts'
import { readHistory, tellHistory } from './usage-history.ts'
import { toUsageAnswer } from './usage-wire.ts'

export interface AccountOptions {
  readonly meter: Meter
  readonly users: Pick<UserStore, 'findUser'>
  readonly usage: UsageStore
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  /** The gateway's own: both let the same credential in. */
  readonly throttle: Throttle
  /** How often a holder may look; absent: one of its own. */
  readonly readingRate?: ReadingRate
  readonly clientAddress: ClientAddress
}

export interface Account {
  /** Whether a request's target (`request.url`) is this app's. */
  readonly takes: (url: string) => boolean
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
}

const usagePath = '/v1/usage'

interface Visit {
  readonly requestId: string
  readonly address: string
  readonly arrivedAt: number
  userId?: string
  code?: ErrorCode
}

type Answer =
  | { readonly kind: 'usage'; readonly body: string }
  | { readonly kind: 'refused'; readonly problem: Problem; readonly allow?: string }

/**
 * What a holder may see: `GET /v1/usage`, the own usage by family, and over time where a parameter asks for it. Asking is let in as a request to the gateway
 * is, but reserves and counts nothing, so that it answers when the quota is spent.
 */
export function createAccount(options: AccountOptions): Account {
  const { clock, log, throttle, readingRate = createReadingRate(clock) } = options

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const visit: Visit = {
      requestId: createRequestId(clock()),
      address: options.clientAddress(request.socket.remoteAddress, request.headers['x-forwarded-for']),
      arrivedAt: performance.now(),
    }
    response.on('close', () => logVisit(visit, request, response))
    answerTo(request, visit)
      .catch((error: unknown): Answer => {
        log.error({ requestId: visit.requestId, err: error }, 'the store cannot be asked')
        if (error instanceof StoreFault) return refused(createProblem('internal'))
        return refused(createProblem('store_unavailable', undefined, { retryAt: clock() + 1000 }))
      })
      .then((answer) => send(request, response, visit, answer))
      .catch((error: unknown) => {
        log.error({ requestId: visit.requestId, err: error }, 'a request failed')
        response.destroy()
      })
  }

  async function answerTo(request: IncomingMessage, visit: Visit): Promise<Answer> {
    const { requestId, address } = visit
    if (request.method !== 'GET') return { ...refused(createProblem('method_not_allowed')), allow: 'GET' }
    const accessToken = credentialOf(request.headers)
    if (accessToken === undefined) return refused(createProblem('missing_credential'))
    const tooOften = readingRate.take(accessToken)
    if (tooOften) return refused(tooOften)
    const taken = await throttle.take(address, accessToken, isOwnAccessToken)
    if (taken.kind === 'closed') return refused(throttled(taken.waitMs))
    const { guess } = taken
    try {
      const ask = { requestId, accessToken, address, route: usagePath, isMetered: false }
      const outcome = await options.meter.admit(ask)
      if (outcome.user) visit.userId = outcome.user.id
      const waitMs = endGuess(guess, outcome)
      if (waitMs !== undefined) return refused(throttled(waitMs))
      if (outcome.kind === 'admitted') return tellUsage(request, accessToken)
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

  async function tellUsage(request: IncomingMessage, accessToken: string): Promise<Answer> {
    const now = clock()
    const user = await options.users.findUser({ accessToken }, now)
    if (!user) return refused(createProblem('unknown_access_token'))
    const answer = toUsageAnswer(user, options.policy, now)
    const { timeZone } = options.policy
    const history = readHistory(queryOf(request.url ?? ''), now, timeZone)
    if (history.kind === 'invalid') return refused(badQuery(history.issues))
    if (history.kind === 'none') return { kind: 'usage', body: JSON.stringify(answer) }
    const told = await tellHistory(options.usage, user.id, history.value, timeZone)
    return { kind: 'usage', body: JSON.stringify({ ...answer, history: told }) }
  }

  function send(request: IncomingMessage, response: ServerResponse, visit: Visit, answer: Answer): void {
    linger(request)
    if (answer.kind === 'usage') {
      const headers = {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'x-request-id': visit.requestId,
      }
      response.writeHead(200, headers).end(answer.body)
      return
    }
    visit.code = answer.problem.code
    const rendered = renderProblem(answer.problem, visit.requestId, clock(), request.headers)
    const allow = answer.allow === undefined ? {} : { allow: answer.allow }
    response.writeHead(rendered.status, { ...rendered.headers, ...allow }).end(rendered.body)
  }

  function logVisit(visit: Visit, request: IncomingMessage, response: ServerResponse): void {
    const { requestId, address, arrivedAt, userId, code } = visit
    const status = response.headersSent ? response.statusCode : 499
    const durationMs = performance.now() - arrivedAt
    logAccess(log, {
      requestId,
      method: request.method ?? '',
      route: usagePath,
      status,
      code,
      durationMs,
      address,
      userId,
    })
  }

  return { takes: (url) => url === usagePath || url.startsWith(`${usagePath}?`), handle }
}

function queryOf(url: string): string {
  const at = url.indexOf('?')
  return at < 0 ? '' : url.slice(at + 1)
}

function badQuery(issues: readonly Issue[]): Problem {
  const [first] = issues
  return createProblem('bad_request', first && `${first.path}: ${first.message}`, { issues })
}

function refused(problem: Problem): Extract<Answer, { readonly kind: 'refused' }> {
  return { kind: 'refused', problem }
}
