import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { StoreFault, StoreUnavailable } from '../store.ts'
import { explained } from './reasons.ts'

/**
 * Two stood in each other's way, by a serialization failure or a deadlock. One of them got through, so that each does
 * in the end: the busier a user is where every transaction is serializable, the later.
 */
const conflicts: ReadonlySet<string> = new Set(['40001', '40P01'])
/** Two who wrote the same new row at once, of whom the second then finds it there; or a row that nobody may write. */
const duplicate = '23505'
const duplicatesMax = 6
const waitMsMax = 100

/** Whether and when one transaction is to be tried again, for so long and no longer. */
export interface Attempts {
  /** Resolves with false where trying again would not help, or time is up; else after a moment. */
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

/** A statement was prepared on another connection than the one that runs it: a pooler changes them in between. */
const misplaced: ReadonlySet<string> = new Set(['26000', '42P05'])

export function isMisplaced(error: unknown): boolean {
  return misplaced.has(codeOf(error))
}

const canceled = '57014'
/** The server is somebody's copy now: another one takes what is written, and a new connection finds it. */
const readOnly = '25006'
const idleInTransaction = '25P03'

/**
 * Classes of errors that speak of one statement and its values, and not of the server (PostgreSQL's manual, appendix
 * A): cardinality, data, integrity, functions of the database's owner, check options, limits of a row, and triggers.
 */
const ofStatement: ReadonlySet<string> = new Set(['21', '22', '23', '38', '39', '44', '54', 'P0'])

/** What was to be read or written is at fault, and the server and the connection are as good as before. */
function isFault(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return ofStatement.has((error.code ?? '').slice(0, 2))
  return (
    error instanceof StoreFault ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof SyntaxError
  )
}

/** What a failure means to who asked. */
export function failureOf(
  error: unknown,
  more: { readonly mayHaveHappened?: boolean } = {},
): StoreUnavailable | StoreFault {
  if (error instanceof StoreUnavailable || error instanceof StoreFault) return error
  return isFault(error) ? new StoreFault(error) : new StoreUnavailable(explained(error), more)
}

/** Whether the connection is no good any more: it broke, the server takes leave, or is not the one to ask. */
export function breaksConnection(error: unknown): boolean {
  if (isFault(error)) return false
  if (!(error instanceof pg.DatabaseError)) return true
  const { code = '' } = error
  if (code === canceled) return false
  return code === readOnly || code === idleInTransaction || code.startsWith('08') || code.startsWith('57')
}

/** As long as anybody waits for a batch. */
const retryMs = 4_000

/** Runs one transaction, again where that may help. Rejects with what the last one failed with. */
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

/** The same for what somebody waits for at a gateway: what takes longer counts as failed, whatever becomes of it. */
export async function retryingWithin<T>(ms: number, transaction: () => Promise<T>): Promise<T> {
  const timer = Promise.withResolvers<never>()
  const timeout = setTimeout(() => timer.reject(new StoreUnavailable(new Error(`no answer in ${ms} ms`))), ms)
  try {
    return await Promise.race([retrying(transaction), timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}
