import { StoreFault, StoreUnavailable } from '../store.ts'

/**
 * Results of SQLite that speak of one statement and its values, and not of the database: an error of its arithmetic,
 * too large, a constraint or a trigger, another type, out of range (sqlite.org/rescode.html).
 */
const ofStatement: ReadonlySet<number> = new Set([1, 18, 19, 20, 25])

/** What a failure of the embedded database means to who asked. */
export function failureOf(error: unknown): StoreUnavailable | StoreFault {
  if (error instanceof StoreUnavailable || error instanceof StoreFault) return error
  return isFault(error) ? new StoreFault(error) : new StoreUnavailable(error)
}

export function isFault(error: unknown): boolean {
  if (error instanceof StoreFault) return true
  if (!(error instanceof Error)) return false
  if ('errcode' in error) return ofStatement.has(Number(error.errcode) & 0xff)
  // The connection is closed: the process is on its way out.
  if ('code' in error && error.code === 'ERR_INVALID_STATE') return false
  // A damaged row, read or about to be written.
  return error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError
}
