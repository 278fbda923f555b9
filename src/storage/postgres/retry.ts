import { setTimeout as wait } from 'node:timers/promises'
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
