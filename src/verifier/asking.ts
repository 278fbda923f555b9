import { createProblem, type Problem } from '#core/errors.ts'
import type { Asked } from '#metering/meter.ts'
import type { AdmissionAsk } from '#storage/store.ts'
import type { VerifierContext } from './context.ts'
import type { Visit } from './visit.ts'

/** An admission's answer with what a caller may be told of it. */
export type Verdict =
  | { readonly kind: 'admitted'; readonly outcome: Extract<Asked, { readonly kind: 'admitted' }> }
  /** Without an outcome where nobody was asked. */
  | { readonly kind: 'refused'; readonly problem: Problem; readonly outcome: Asked | undefined }

/**
 * Puts a question to the meter, the same one that decides for the gateway. Guesses at access tokens are throttled
 * by the end client's address where one is known; the asking gateway's own is no guesser's.
 *
 * @param guesser the end client's address
 */
export async function ask(
  question: AdmissionAsk,
  guesser: string | undefined,
  visit: Visit,
  context: VerifierContext,
): Promise<Verdict> {
  const { throttle } = context
  const blockedUntil = guesser === undefined ? undefined : throttle.blockedUntil(guesser)
  if (blockedUntil !== undefined) {
    const problem = createProblem('throttled', undefined, { retryAt: blockedUntil })
    return { kind: 'refused', problem, outcome: undefined }
  }
  const outcome = await context.meter.admit(question)
  visit.userId = outcome.user?.id
  const isUnknown = outcome.kind === 'refused' && outcome.code === 'unknown_access_token'
  if (guesser !== undefined && isUnknown) throttle.failed(guesser)
  else if (guesser !== undefined) throttle.succeeded(guesser)
  if (outcome.kind === 'admitted') return { kind: 'admitted', outcome }
  const { code, message, limit, retryAt } = outcome
  return { kind: 'refused', problem: createProblem(code, message, { retryAt, limit }), outcome }
}
