import { errorTable, type Problem, retryAfterSeconds, retryAtOf } from '#core/errors.ts'
import { linger } from '#http/linger.ts'
import type { LimitsView } from '#providers/provider.ts'
import { timingOf, type Visit } from './visit.ts'

/** Beyond this, waiting is nothing that a client's own retries should do: they would hammer and then fail. */
const worthWaitingMs = 60_000

/** Answers with a problem in the caller's protocol, unless an answer has begun. */
export function refuse(visit: Visit, problem: Problem, limits: LimitsView | undefined, now: number): void {
  const { response, provider, requestId } = visit
  visit.code = problem.code
  if (response.headersSent || response.destroyed) return
  const headers = [
    'content-type',
    'application/json',
    'x-request-id',
    requestId,
    'server-timing',
    timingOf(visit),
  ]
  if (provider.requestIdHeader !== 'x-request-id') headers.push(provider.requestIdHeader, requestId)
  headers.push(...retryHeaders(problem, now))
  if (limits) pushAll(headers, provider.limitHeaders(limits, now))
  if (errorTable[problem.code].status === 401) headers.push('www-authenticate', 'Bearer realm="tollgate"')
  sendWhole(visit, errorTable[problem.code].status, headers, provider.renderProblem(problem, requestId))
}

/** Sends a whole answer of our own. */
export function sendWhole(visit: Visit, status: number, headers: string[], body: string): void {
  const { response } = visit
  headers.push('content-length', String(Buffer.byteLength(body)))
  response.writeHead(status, headers)
  response.end(body)
  linger(visit.request)
}

/**
 * When to come back: `retry-after` in whole seconds, and `x-should-retry: false` where waiting seconds cannot
 * help, which the official clients obey.
 */
function retryHeaders(problem: Problem, now: number): string[] {
  const retryAt = retryAtOf(problem, now)
  const headers = retryAt === undefined ? [] : ['retry-after', String(retryAfterSeconds(retryAt, now))]
  const isWorthWaiting = retryAt !== undefined && retryAt - now <= worthWaitingMs
  const wouldRetry =
    errorTable[problem.code].fault === 'quota' ||
    problem.code === 'throttled' ||
    problem.code === 'upstream_refused'
  if (problem.code === 'no_upstream' || (wouldRetry && !isWorthWaiting))
    headers.push('x-should-retry', 'false')
  return headers
}

export function pushAll(list: string[], headers: Readonly<Record<string, string>>): void {
  for (const name in headers) list.push(name, headers[name] ?? '')
}
