import type { Usage } from '#core/usage.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { Store } from '#storage/store.ts'
import { by } from './by.ts'

/** One request as it ends in the ledger, for tests that need a history but no gateway. */
export interface Booking {
  readonly userId: string
  /** When it begins and, unless `endAt` says otherwise, ends. */
  readonly at: number
  readonly endAt?: number
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  readonly isEstimated?: boolean
  readonly ending?: 'settled' | 'released' | 'abandoned'
  readonly usage?: Partial<Usage>
  readonly address?: string
}

/** Admits and settles one request; returns its id. */
export async function book(store: Store, booking: Booking): Promise<string> {
  const requestId = await open(store, booking)
  await close(store, requestId, booking)
  return requestId
}

export async function open(store: Store, booking: Booking): Promise<string> {
  const { userId, at, family = 'claude', model = 'claude-x', address = '192.0.2.1' } = booking
  const requestId = createSortableId('req_', at)
  const units = { model, family, input: 1, output: 1, choices: 1 }
  const ask = { requestId, userId, address, route: '/v1/messages', isMetered: true, units }
  const { asks } = await store.metering.runBatch({ now: at, settlements: [], asks: [ask] })
  if (asks[0]?.kind !== 'admitted') throw new Error(`the booking was ${asks[0]?.kind}`)
  return requestId
}

export async function close(store: Store, requestId: string, booking: Booking): Promise<void> {
  const { at, endAt = at, ending = 'settled', isEstimated = false, status = 200, upstream } = booking
  const usage = { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0, ...booking.usage }
  const settlement = {
    ...{ requestId, ending, usage, isEstimated, status, durationMs: 1 },
    ...(upstream !== undefined && { upstream }),
  }
  await store.metering.runBatch({ now: endAt, settlements: [settlement], asks: [] })
}

export async function newUserId(store: Pick<Store, 'users'>, now: number, edit = {}): Promise<string> {
  const made = await store.users.insertUser(edit, by(now))
  if (made.kind !== 'created') throw new Error(`the user was not created but ${made.kind}`)
  return made.user.id
}

/** Numbers from 0 to below 1, the same in every run. */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
