import type { Kysely, Transaction } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { By, NewChange } from '#core/change.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import { type Adjustment, adjustUsed, periodStartOf, rollOver } from '#storage/quotas/account.ts'
import { readQuota } from '#storage/quotas/rows.ts'
import { readEach } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UsageReset } from '#storage/store/users.ts'
import { toLimits } from './limit-columns.ts'
import { type QuotaWriting, saveAdjustments, saveQuotas } from './quota-changes.ts'
import type { StoredUser } from './rows.ts'

const route = '/admin/quota/reset'

export interface UsedUsers {
  readonly ids: readonly string[]
  /** The last of these users, where more follow. */
  readonly next?: string
}

/**
 * The next users whose count is not zero. This search is separate from the reset itself: where most users are at zero
 * it reads many rows, and no writer may wait for that.
 */
export async function findUsedUsers(db: Kysely<Schema>, request: UsageReset): Promise<UsedUsers> {
  const { families, after, limit } = request
  let query = db.selectFrom('quotas').select('user_id').distinct().where('used', '<>', 0)
  if (after !== undefined) query = query.where('user_id', '>', after)
  if (families !== 'all') query = query.where('family', 'in', [...families])
  const rows = await query
    .orderBy('user_id')
    .limit(limit + 1)
    .execute()
  const ids = rows.slice(0, limit).map((row) => row.user_id)
  const last = ids.at(-1)
  return { ids, ...(rows.length > ids.length && last !== undefined && { next: last }) }
}

/**
 * Resets users to zero in one transaction, and answers how many were not at zero. Revisions stay, since this is no
 * edit.
 */
export type ResetUsers = (
  ids: readonly string[],
  families: readonly string[] | 'all',
  by: By,
) => Promise<number>

export function createUsageReset(
  db: Kysely<Schema>,
  {
    policy,
    saveChanges,
    ...writing
  }: QuotaWriting & { readonly policy: Policy; readonly saveChanges: SaveChanges },
): ResetUsers {
  async function reset(trx: Transaction<Schema>, ...[ids, families, by]: Parameters<ResetUsers>) {
    const { now } = by
    const users = await trx
      .selectFrom('users')
      .selectAll()
      .where('id', 'in', ids)
      .orderBy('id')
      .forUpdate()
      .execute()
    const startOf = new Map(users.map((row) => [row.id, startAtOf(row, now)]))
    const query = trx.selectFrom('quotas').selectAll().where('user_id', 'in', ids).where('used', '<>', 0)
    const stored = await (families === 'all' ? query : query.where('family', 'in', [...families])).execute()
    // A count that cannot be read stays as it is, and keeps no other from being reset.
    const { items: changed } = readEach(
      stored.map((row) => ({ row, id: row.user_id })),
      ({ row, id: userId }) => ({ userId, quota: readQuota(row) }),
    )
    const adjustments = changed.flatMap(({ userId, quota }) => {
      rollOver(quota, startOf.get(userId) ?? 0)
      return adjustUsed(quota, 0, { userId, route, now }) ?? []
    })
    await saveQuotas(trx, writing, changed)
    await saveAdjustments(trx, writing, adjustments)
    const changes = changesOf(adjustments, by)
    await saveChanges(trx, changes)
    return changes.length
  }

  /** When the current period began; 0 if the stored period is damaged. The count is then reset in its old period. */
  function startAtOf(row: StoredUser, now: number): number {
    try {
      return periodStartOf(toLimits(row), policy, now)
    } catch {
      return 0
    }
  }

  return (...args) => db.transaction().execute((trx) => reset(trx, ...args))
}

/** One change for each user; an adjustment takes out what the quota had counted. */
function changesOf(adjustments: readonly Adjustment[], by: By): readonly NewChange[] {
  const ofUsers = Map.groupBy(adjustments, ({ userId }) => userId)
  return [...ofUsers].map(([object, theirs]) => ({
    ...{ by, kind: 'usage.reset' as const, object },
    before: Object.fromEntries(theirs.map(({ family, units }) => [`quotaUsed.${family}`, -units])),
    after: Object.fromEntries(theirs.map(({ family }) => [`quotaUsed.${family}`, null])),
  }))
}
