import type { Transaction } from 'kysely'
import type { ManyRows } from '#storage/many-rows.ts'
import type { Adjustment, LoadedQuota } from '#storage/quotas/account.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts, type Value } from '#storage/schema/write.ts'

/** An administrator's change of a quota. */
export interface ChangedQuota {
  readonly userId: string
  readonly quota: LoadedQuota
}

/** Where the row exists, what metering alone changes (`reserved`, `open_requests`) stays as it is stored. */
const quotas = inserts(
  'quotas',
  [
    ...(['user_id', 'family', 'quota_limit', 'period_bonus', 'used'] as const),
    ...(['reserved', 'open_requests', 'period_started_at'] as const),
  ],
  `on conflict (user_id, family) do update set quota_limit = excluded.quota_limit,
    period_bonus = excluded.period_bonus, used = excluded.used, period_started_at = excluded.period_started_at`,
)

const adjusted = inserts('entries', [
  ...(['id', 'user_id', 'kind', 'route', 'family', 'model', 'state', 'hold'] as const),
  ...(['input_estimate', 'units', 'instance', 'started_at', 'ended_at'] as const),
])

/** What the writes need beside the transaction. */
export interface QuotaWriting {
  readonly many: ManyRows
  /** The name of this process in the entries of adjustments. */
  readonly instance: string
}

export async function saveQuotas(
  trx: Transaction<Schema>,
  { many }: QuotaWriting,
  changed: readonly ChangedQuota[],
): Promise<void> {
  await many.write(trx, quotas, changed.map(toQuotaValues))
}

export async function saveAdjustments(
  trx: Transaction<Schema>,
  { many, instance }: QuotaWriting,
  adjustments: readonly Adjustment[],
): Promise<void> {
  const rows = adjustments.map((adjustment) => toAdjustedValues(adjustment, instance))
  await many.write(trx, adjusted, rows)
}

function toQuotaValues({ userId, quota }: ChangedQuota): Value[] {
  const { family, limit = null, extra, used, reserved, openRequests, periodStartedAt } = quota
  return [userId, family, limit, extra, used, reserved, openRequests, periodStartedAt]
}

function toAdjustedValues({ id, userId, route, family, units, at }: Adjustment, instance: string): Value[] {
  return [id, userId, 'adjustment', route, family, '', 'settled', 0, 0, units, instance, at, at]
}
