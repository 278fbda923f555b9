import { isFault } from '#storage/sqlite/failure.ts'
import { StoreFault, StoreUnavailable } from '#storage/store.ts'

/** An error on its way to another thread, which keeps only its standard fields: the codes are sent beside it. */
export interface WorkFailure {
  readonly kind: 'failed'
  readonly error: unknown
  readonly errcode: unknown
  readonly isFault: boolean
}

export function failureSent(error: unknown): WorkFailure {
  const errcode = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return { kind: 'failed', error, errcode, isFault: isFault(error) }
}

/** The error of the store that a failure is to the caller. */
export function failureHeard({
  error,
  errcode,
  isFault: isOfData,
}: WorkFailure): StoreFault | StoreUnavailable {
  if (error instanceof Error && errcode !== undefined) Object.assign(error, { errcode })
  return isOfData ? new StoreFault(error) : new StoreUnavailable(error)
}
