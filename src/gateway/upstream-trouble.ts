import type { Problem } from '#core/errors.ts'
import { createProblem } from '#core/errors.ts'
import type { Hide } from '#providers/hidden.ts'
import { type OperatorRefusal, withoutOperatorNames } from '#providers/operator-refusal.ts'
import { type AnswerHeaders, retryAfterMs } from '#upstreams/retry-after.ts'
import type { AnswerOwner } from './answer-owner.ts'
import { problemOfRefusal } from './failure.ts'

type Details = Readonly<Record<string, unknown>>

/** A log of trouble with the present upstream, also for lines that are written after the next upstream was tried. */
export function troubleLog({ job, context, attempts }: AnswerOwner): (details: Details) => void {
  const about = { requestId: job.visit.requestId, upstream: attempts.upstream?.name }
  return (details) => context.log.warn({ ...about, ...details }, 'upstream trouble')
}

/** Takes what an error of the present upstream says of the operator out of it. */
export function hideOf({ attempts }: AnswerOwner): Hide {
  return attempts.upstream?.hide ?? withoutOperatorNames
}

/** What the client is told instead of an error about the operator's account. */
export function problemOf(
  refusal: OperatorRefusal,
  headers: AnswerHeaders,
  { context }: AnswerOwner,
): Problem {
  const now = context.clock()
  const afterMs = retryAfterMs(headers, now)
  return problemOfRefusal(refusal, afterMs === undefined ? undefined : now + afterMs)
}

/** Ends a compressed answer that cannot be sent on for this cause. */
export function failUndecoded(owner: AnswerOwner, cause: Error): void {
  troubleLog(owner)({ failure: 'a compressed answer', err: cause })
  owner.fail(
    createProblem('upstream_failed', "The upstream's answer is compressed and cannot be passed on."),
    true,
  )
}
