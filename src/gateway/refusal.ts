import { errorTable, type Problem } from '#core/errors.ts'
import { problemHeaders } from '#http/problem-answer.ts'
import { sendWhole } from '#http/visit.ts'
import type { LimitsView, ProblemWords } from '#providers/provider.ts'
import { timingOf, type Visit } from './visit.ts'

const nothing = Buffer.alloc(0)

/** Answers with a problem in the caller's protocol, unless an answer has begun. */
export function refuse(visit: Visit, problem: Problem, limits: LimitsView | undefined, now: number): void {
  const { response, provider, requestId } = visit
  visit.code = problem.code
  if (response.headersSent || response.destroyed) return
  const headers = {
    ...problemHeaders(problem, requestId, now),
    'server-timing': timingOf(visit),
    [provider.requestIdHeader]: requestId,
    ...(limits && provider.limitHeaders(limits, now)),
  }
  sendWhole(visit, errorTable[problem.code].status, headers, wordsOf(visit).renderProblem(problem, requestId))
}

/** The text that ends a stream which is cut, in the form that the endpoint's clients read. */
export function streamRefusal(visit: Visit, problem: Problem, opening: Buffer = nothing): string {
  return wordsOf(visit).renderStreamProblem(problem, visit.requestId, opening)
}

/** Clients of some endpoints read errors in a format of their own, all others in that of their protocol. */
function wordsOf({ endpoint, provider }: Visit): ProblemWords {
  return endpoint?.problems ?? provider
}

export function pushAll(list: string[], headers: Readonly<Record<string, string>>): void {
  for (const name in headers) list.push(name, headers[name] ?? '')
}
