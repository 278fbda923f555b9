import { createProblem, type Problem } from '#core/errors.ts'
import { codingNameOf } from '#lib/content-coding.ts'
import { errorMessageIn, type OperatorRefusal } from '#providers/operator-refusal.ts'
import type { SendFailure } from '#upstreams/exchange.ts'
import type { HeldAnswer } from './held-error.ts'

/** What the client is told of an upstream that failed; the cause is for the log. */
export function problemOfFailure(failure: SendFailure): Problem {
  switch (failure.kind) {
    case 'unreachable':
      return createProblem('upstream_failed', 'The upstream could not be reached.')
    case 'broken':
      return createProblem('upstream_failed', 'The upstream broke off before its answer was whole.')
    case 'timeout':
      return createProblem('upstream_timeout')
    case 'fault':
      return createProblem('internal')
  }
}

/**
 * What the client is told instead of an error about the operator's credential or account. Such an error often holds a
 * part of the key or the organisation's name. Passed on, it would make users throw away good access tokens, or believe
 * that their own quota is spent.
 */
export function problemOfRefusal(refusal: OperatorRefusal, retryAt: number | undefined): Problem {
  switch (refusal) {
    case 'credential':
      return createProblem(
        'upstream_failed',
        "The upstream refused this gateway's own credential. Tell its operator.",
        { isLasting: true },
      )
    case 'account':
      return createProblem('upstream_refused', undefined, { retryAt })
  }
}

/**
 * What a client is told of an upstream's error within a stream that has begun already: the error's own message, if it can
 * be read.
 */
export function problemOfError(status: number, { headers, body }: HeldAnswer): Problem {
  const isPlain = codingNameOf(headers['content-encoding']) === ''
  const message =
    (isPlain ? errorMessageIn(body.toString()) : undefined) ?? `The upstream answered ${status}.`
  const isOfRequest = status < 500 && status !== 408 && status !== 429
  return createProblem(isOfRequest ? 'bad_request' : 'upstream_failed', message)
}

/**
 * A redirect is not passed on: following it would send the prompt, and with some clients the access token, to another
 * address.
 */
export const redirected: Problem = createProblem(
  'upstream_failed',
  'The upstream redirects elsewhere, so its address is not right. Tell the operator of this gateway.',
  { isLasting: true },
)
