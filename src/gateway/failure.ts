import { createProblem, type Problem } from '#core/errors.ts'
import type { SendFailure } from '#upstreams/exchange.ts'

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
 * An upstream's 401 speaks of the operator's credential, often with a part of it; passed on, it would tell
 * holders to throw away access tokens that are good.
 */
export const refusedCredential: Problem = createProblem(
  'upstream_failed',
  "The upstream refused this gateway's own credential. Tell its operator.",
)
