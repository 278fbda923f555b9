import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { StoreFault, StoreUnavailable } from '../store.ts'
import { explained } from './reasons.ts'

/**
 * Two transactions were in conflict: a serialization failure or a deadlock. One of them succeeded, so with retries
 * each does in the end. Where every transaction is serializable, a busy user takes more retries.
 */
const conflicts: ReadonlySet<string> = new Set(['40001', '40P01'])
/**
 * Two transactions inserted the same new row at once; a retry then finds the row. Or the insert violates a constraint
 * for good, so retries are few.
 */
const duplicate = '23505'
const duplicatesMax = 6
const waitMsMax = 100

/** Decides whether and when a transaction is retried, within a time limit. */
export interface Attempts {
  /** Resolves with true after a pause where a retry may help; with false where it cannot, or time is up. */
  readonly again: (error: unknown) => Promise<boolean>
}

export function createAttempts(ms: number): Attempts {
  const until = performance.now() + ms
  let [failures, duplicates] = [0, 0]
  return {
    async again(error) {
      if (!mayPass(error) || performance.now() > until) return false
      if (codeOf(error) === duplicate && ++duplicates >= duplicatesMax) return false
      await wait(Math.random() * Math.min(20 * ++failures, waitMsMax))
      return true
    },
  }
}

function mayPass(error: unknown): boolean {
  const code = codeOf(error)
  return code === duplicate || conflicts.has(code)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** A statement was prepared on another connection than the one that runs it: a pooler swapped them in between. */
const misplaced: ReadonlySet<string> = new Set(['26000', '42P05'])

export function isMisplaced(error: unknown): boolean {
  return misplaced.has(codeOf(error))
}

const canceled = '57014'
/** The server has become a standby: another one accepts writes, and a new connection finds it. */
const readOnly = '25006'
const idleInTransaction = '25P03'

/**
 * Classes of errors about one statement and its values, not about the server (PostgreSQL's manual, appendix A):
 * cardinality, data, integrity, functions of the database's owner, check options, limits of a row, and triggers.
 */
const ofStatement: ReadonlySet<string> = new Set(['21', '22', '23', '38', '39', '44', '54', 'P0'])

/** The statement or its values are at fault; the server and the connection still work. */
function isFault(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return ofStatement.has((error.code ?? '').slice(0, 2))
  return (
    error instanceof StoreFault ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof SyntaxError
  )
}

/** The store's own error for a failure. */
export function failureOf(
  error: unknown,
  more: { readonly mayHaveHappened?: boolean } = {},
): StoreUnavailable | StoreFault {
  if (error instanceof StoreUnavailable || error instanceof StoreFault) return error
  return isFault(error) ? new StoreFault(error) : new StoreUnavailable(explained(error), more)
}

/** Whether the connection is unusable: it broke, or its server is shutting down or read-only. */
export function breaksConnection(error: unknown): boolean {
  if (isFault(error)) return false
  if (!(error instanceof pg.DatabaseError)) return true
  const { code = '' } = error
  if (code === canceled) return false
  return code === readOnly || code === idleInTransaction || code.startsWith('08') || code.startsWith('57')
}

/** As long as a caller waits for a batch. */
const retryMs = 4_000

/** Runs one transaction, with retries. Rejects with the error of the last attempt. */
export async function persisting<T>(transaction: () => Promise<T>): Promise<T> {
  const attempts = createAttempts(retryMs)
  for (;;) {
    try {
      return await transaction()
    } catch (error) {
      if (!(await attempts.again(error))) throw error
    }
  }
}

/** The same for callers of the store: rejects with `StoreUnavailable` or `StoreFault`. */
export async function retrying<T>(transaction: () => Promise<T>): Promise<T> {
  try {
    return await persisting(transaction)
  } catch (error) {
    throw failureOf(error)
  }
}

/**
 * The same with a timeout, for requests of the gateway. After the timeout it rejects; the transaction may still be
 * committed.
 */
export async function retryingWithin<T>(ms: number, transaction: () => Promise<T>): Promise<T> {
  const timer = Promise.withResolvers<never>()
  const timeout = setTimeout(() => timer.reject(new StoreUnavailable(new Error(`no answer in ${ms} ms`))), ms)
  try {
    return await Promise.race([retrying(transaction), timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}
