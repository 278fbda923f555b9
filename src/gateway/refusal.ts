import { againHeaders } from '#core/asking-again.ts'
import { errorTable, type Problem } from '#core/errors.ts'
import { linger } from '#http/linger.ts'
import type { LimitsView, ProblemWords } from '#providers/provider.ts'
import { timingOf, type Visit } from './visit.ts'

/** Answers with a problem in the caller's protocol, unless an answer has begun. */
export function refuse(visit: Visit, problem: Problem, limits: LimitsView | undefined, now: number): void {
  const { response, provider, requestId } = visit
  visit.code = problem.code
  if (response.headersSent || response.destroyed) return
  const { status } = errorTable[problem.code]
  const headers = [
    'content-type',
    'application/json',
    'x-request-id',
    requestId,
    'server-timing',
    timingOf(visit),
  ]
  if (provider.requestIdHeader !== 'x-request-id') headers.push(provider.requestIdHeader, requestId)
  pushAll(headers, againHeaders(problem, now))
  if (limits) pushAll(headers, provider.limitHeaders(limits, now))
  if (status === 401) headers.push('www-authenticate', 'Bearer realm="tollgate"')
  sendWhole(visit, status, headers, wordsOf(visit).renderProblem(problem, requestId))
}

/** The text that ends a stream which is cut, in the form that the endpoint's clients read. */
export function streamRefusal(visit: Visit, problem: Problem, opening: Buffer): string {
  return wordsOf(visit).renderStreamProblem(problem, visit.requestId, opening)
}

/** Clients of some endpoints read errors in a format of their own, all others in that of their protocol. */
function wordsOf({ endpoint, provider }: Visit): ProblemWords {
  return endpoint?.problems ?? provider
}

/** Sends a complete answer of the gateway's own. */
export function sendWhole(visit: Visit, status: number, headers: string[], body: string): void {
  const { response } = visit
  headers.push('content-length', String(Buffer.byteLength(body)))
  response.writeHead(status, headers)
  response.end(body)
  linger(visit.request)
}

export function pushAll(list: string[], headers: Readonly<Record<string, string>>): void {
  for (const name in headers) list.push(name, headers[name] ?? '')
}
