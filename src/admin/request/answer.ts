import type { Problem } from '#core/errors.ts'
import type { Refused } from '#core/reading.ts'
import { renderProblem } from '#http/problem-answer.ts'
import type { AdminContext } from './context.ts'

/** A handler's answer: 200 with this content, or the problem for which the request is refused. */
export type Answer = Answered | Refused

interface Answered {
  readonly kind: 'answered'
  readonly content: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
  readonly headers: Headers
}

type Headers = Readonly<Record<string, string>>

const json = { 'content-type': 'application/json' }

export function answered(body: object, headers: Headers = {}): Answered {
  return written(JSON.stringify(body), headers)
}

/** @param content JSON, unless the headers say otherwise */
export function written(content: Answered['content'], headers: Headers = {}): Answered {
  return { kind: 'answered', content, headers: { ...json, ...headers } }
}

/** The one place that turns a handler's answer into a response. `now` in epoch milliseconds. */
export function render(c: AdminContext, answer: Answer, now: number): Response {
  if (answer.kind === 'refused') return renderRefusal(c, answer.problem, now)
  return c.body(answer.content, 200, answer.headers)
}

export function renderRefusal(c: AdminContext, problem: Problem, now: number): Response {
  c.set('code', problem.code)
  const { status, headers, body } = renderProblem(problem, c.get('requestId'), now, {
    accept: c.req.header('accept'),
    patienceMs: Number.POSITIVE_INFINITY,
  })
  return new Response(body, { status, headers })
}
