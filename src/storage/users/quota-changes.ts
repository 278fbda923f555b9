import type { Transaction } from 'kysely'
import { createSortableId } from '#lib/sortable-id.ts'
import type { EntryRow, QuotaRow, Schema } from '#storage/schema/tables.ts'

/**
 * An administrator's changes of a quota. A count is never just overwritten: the difference is booked as an
 * adjustment, so that `used` stays the sum of the ledger.
 */
export interface AdjustedBy {
  readonly instance: string
  /** The route template of the operation. */
  readonly route: string
  readonly now: number
}

export function emptyQuota(userId: string, family: string): QuotaRow {
  return {
    user_id: userId,
    family,
    quota_limit: null,
    extra: 0,
    used: 0,
    reserved: 0,
    open_requests: 0,
    period_started_at: 0,
  }
}

/** A quota whose period is over counts from zero, and units added for that period end with it. */
export function rollQuota(quota: QuotaRow, startAt: number): void {
  if (quota.period_started_at >= startAt) return
  quota.used = 0
  quota.extra = 0
  quota.period_started_at = startAt
}

/**
 * Sets the count of a quota whose period is current. Returns the adjustment that explains the difference, if there is
 * one.
 */
export function adjustUsed(quota: QuotaRow, used: number, by: AdjustedBy): EntryRow | undefined {
  const units = used - quota.used
  if (units === 0) return undefined
  quota.used = used
  // After a clock was set back, the booking must not fall into a period that the quota has left.
  return adjustment(quota, units, by, Math.max(by.now, quota.period_started_at))
}

const rowsAtOnce = 200

export async function saveQuotas(trx: Transaction<Schema>, rows: readonly QuotaRow[]): Promise<void> {
  for (const chunk of chunksOf(rows, rowsAtOnce)) {
    await trx
      .insertInto('quotas')
      .values(chunk)
      .onConflict((conflict) =>
        conflict.columns(['user_id', 'family']).doUpdateSet((e) => ({
          quota_limit: e.ref('excluded.quota_limit'),
          extra: e.ref('excluded.extra'),
          used: e.ref('excluded.used'),
          period_started_at: e.ref('excluded.period_started_at'),
        })),
      )
      .execute()
  }
}

export async function saveAdjustments(trx: Transaction<Schema>, rows: readonly EntryRow[]): Promise<void> {
  for (const chunk of chunksOf(rows, rowsAtOnce)) await trx.insertInto('entries').values(chunk).execute()
}

/** Splits a list: databases limit the parameters of a statement. */
export function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}

function adjustment(quota: QuotaRow, units: number, by: AdjustedBy, at: number): EntryRow {
  return {
    id: createSortableId('adj_', at),
    user_id: quota.user_id,
    kind: 'adjustment',
    route: by.route,
    family: quota.family,
    model: '',
    state: 'settled',
    hold: 0,
    input_estimate: 0,
    is_estimated: 0,
    input: 0,
    cache_read: 0,
    cache_written: 0,
    output: 0,
    reasoning: 0,
    units,
    status: null,
    error_code: null,
    upstream: null,
    address: null,
    instance: by.instance,
    started_at: at,
    ended_at: at,
    duration_ms: null,
    first_byte_ms: null,
    extras: null,
    lease_until: null,
  }
}
