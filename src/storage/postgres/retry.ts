import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { StoreUnavailable } from '../store.ts'

const attemptsMax = 6

/**
 * What passes when it is tried again: a serialization failure, a deadlock, and two who wrote the same new row at
 * once, of whom the second then finds it there.
 */
const passing: ReadonlySet<string> = new Set(['40001', '40P01', '23505'])

export function mayPass(error: unknown): boolean {
  return error instanceof Error && 'code' in error && passing.has(String(error.code))
}

const canceled = '57014'
/** The server is somebody's copy now: another one takes what is written, and a new connection finds it. */
const readOnly = '25006'
const idleInTransaction = '25P03'

/** Whether the connection is no good any more: it broke, the server takes leave, or is not the one to ask. */
export function breaksConnection(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  const { code = '' } = error
  if (code === canceled) return false
  return code === readOnly || code === idleInTransaction || code.startsWith('08') || code.startsWith('57')
}

export function waitBriefly(): Promise<void> {
  return wait(Math.random() * 20)
}

/** Runs one transaction, again where that may help. Rejects with `StoreUnavailable`. */
export async function retrying<T>(transaction: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transaction()
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error
      if (!mayPass(error) || attempt >= attemptsMax) throw new StoreUnavailable(error)
    }
    await waitBriefly()
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
