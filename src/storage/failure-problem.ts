import { createProblem, createStoreUnavailable, type Problem } from '#core/errors.ts'
import { StoreUnavailable } from './store.ts'

/** The problem of a request whose handler failed. `now` in epoch milliseconds. */
export function problemOfFailure(error: unknown, now: number): Problem {
  return error instanceof StoreUnavailable ? createStoreUnavailable(now) : createProblem('internal')
}
