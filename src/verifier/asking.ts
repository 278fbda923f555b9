import { isOwnAccessToken } from '#core/access-token.ts'
import type { AdmissionAsk } from '#core/admission-ask.ts'
import { createProblem, createThrottled } from '#core/errors.ts'
import { type Refused, refused } from '#core/reading.ts'
import { endGuess } from '#http/guess.ts'
import type { Visit } from '#http/visit.ts'
import type { Asked } from '#metering/ledger.ts'
import type { VerifierContext } from './context.ts'

/** An admission's answer, and the problem that the caller gets. */
export type Verdict =
  | { readonly kind: 'admitted'; readonly outcome: Extract<Asked, { readonly kind: 'admitted' }> }
  /** Without an outcome where the store was not asked. */
  | (Refused & { readonly outcome: Asked | undefined })

/**
 * Asks for an admission, by the same code as the gateway. Guesses at access tokens are throttled by the end client's
 * address where it is known, never by the asking gateway's own. A question by user id is not a guess.
 *
 * @param guesser the end client's address
 */
export async function ask(
  question: AdmissionAsk,
  guesser: string | undefined,
  visit: Visit,
  context: VerifierContext,
): Promise<Verdict> {
  const { accessToken } = question
  if (guesser === undefined || accessToken === undefined)
    return toVerdict(await context.ledger.admit(question), visit)
  const taken = await context.throttle.take(guesser, accessToken, isOwnAccessToken)
  if (taken.kind === 'closed') return throttled(taken.waitMs, context)
  const { guess } = taken
  try {
    const outcome = await context.ledger.admit(question)
    const waitMs = endGuess(guess, outcome)
    return waitMs === undefined ? toVerdict(outcome, visit) : throttled(waitMs, context)
  } finally {
    guess.dropped()
  }
}

function toVerdict(outcome: Asked, visit: Visit): Verdict {
  visit.userId = outcome.user?.id
  if (outcome.kind === 'admitted') return { kind: 'admitted', outcome }
  const { code, message, limit, retryAt } = outcome
  return { ...refused(createProblem(code, message, { retryAt, limit })), outcome }
}

/** The same answer as without asking the store: a throttled caller must not learn anything else. */
function throttled(waitMs: number, { clock }: VerifierContext): Verdict {
  return { ...refused(createThrottled(waitMs, clock())), outcome: undefined }
}
