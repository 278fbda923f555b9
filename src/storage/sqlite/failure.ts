import { StoreFault, StoreUnavailable } from '../store.ts'

/**
 * SQLite's result codes about one statement and its values, not about the database: a generic error such as
 * arithmetic, too large, a constraint or trigger, type mismatch, out of range (sqlite.org/rescode.html).
 */
const ofStatement: ReadonlySet<number> = new Set([1, 18, 19, 20, 25])

/** The store's own error for a failure of the embedded database. */
export function failureOf(error: unknown): StoreUnavailable | StoreFault {
  if (error instanceof StoreUnavailable || error instanceof StoreFault) return error
  return isFault(error) ? new StoreFault(error) : new StoreUnavailable(error)
}

export function isFault(error: unknown): boolean {
  if (error instanceof StoreFault) return true
  if (!(error instanceof Error)) return false
  if ('errcode' in error) return ofStatement.has(Number(error.errcode) & 0xff)
  // The connection is closed: the process is shutting down.
  if ('code' in error && error.code === 'ERR_INVALID_STATE') return false
  // A damaged row, read or about to be written.
  return error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError
}
