import type { Transaction } from 'kysely'
import type { Adjustment, LoadedQuota } from '#storage/quotas/account.ts'
import type { EntryRow, QuotaRow, Schema } from '#storage/schema/tables.ts'

/** Writes an administrator's changes of quotas. What metering alone changes (`reserved`) stays as it is stored. */
export interface ChangedQuota {
  readonly userId: string
  readonly quota: LoadedQuota
}

const rowsAtOnce = 200

export async function saveQuotas(trx: Transaction<Schema>, changed: readonly ChangedQuota[]): Promise<void> {
  for (const chunk of chunksOf(changed, rowsAtOnce)) {
    await trx
      .insertInto('quotas')
      .values(chunk.map(toQuotaRow))
      .onConflict((conflict) =>
        conflict.columns(['user_id', 'family']).doUpdateSet((e) => ({
          quota_limit: e.ref('excluded.quota_limit'),
          period_bonus: e.ref('excluded.period_bonus'),
          used: e.ref('excluded.used'),
          period_started_at: e.ref('excluded.period_started_at'),
        })),
      )
      .execute()
  }
}

/** @param instance the name of this process in the entries */
export async function saveAdjustments(
  trx: Transaction<Schema>,
  adjustments: readonly Adjustment[],
  instance: string,
): Promise<void> {
  for (const chunk of chunksOf(adjustments, rowsAtOnce)) {
    const rows = chunk.map((adjustment) => toEntryRow(adjustment, instance))
    await trx.insertInto('entries').values(rows).execute()
  }
}

/** Splits a list: databases limit the parameters of a statement. */
export function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}

function toQuotaRow({ userId, quota }: ChangedQuota): QuotaRow {
  return {
    user_id: userId,
    family: quota.family,
    quota_limit: quota.limit ?? null,
    period_bonus: quota.extra,
    used: quota.used,
    reserved: quota.reserved,
    open_requests: quota.openRequests,
    period_started_at: quota.periodStartedAt,
  }
}

function toEntryRow({ id, userId, route, family, units, at }: Adjustment, instance: string): EntryRow {
  return {
    id,
    user_id: userId,
    kind: 'adjustment',
    route,
    family,
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
    instance,
    started_at: at,
    ended_at: at,
    duration_ms: null,
    first_byte_ms: null,
    extras: null,
    lease_until: null,
  }
}
