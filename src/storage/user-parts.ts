import type { Kysely } from 'kysely'
import type { QuotaRow, Schema } from './schema.ts'
import { toBoundedQuota } from './user-rows.ts'

/** What belongs to users and lies in tables of its own. */
export interface UserParts {
  readonly quotasOf: (userId: string) => readonly QuotaRow[]
  /** In the order in which they were first seen. */
  readonly addressesOf: (userId: string) => readonly string[]
}

export async function readUserParts(db: Kysely<Schema>, ids: readonly string[]): Promise<UserParts> {
  if (ids.length === 0) return { quotasOf: () => [], addressesOf: () => [] }
  const stored = await db.selectFrom('quotas').selectAll().where('user_id', 'in', ids).execute()
  const quotas = stored.map(toBoundedQuota)
  const addresses = await db
    .selectFrom('addresses')
    .select(['user_id', 'address'])
    .where('user_id', 'in', ids)
    .orderBy('first_seen_at')
    .orderBy('address')
    .execute()
  const quotasById = Map.groupBy(quotas, (quota) => quota.user_id)
  const addressesById = Map.groupBy(addresses, (row) => row.user_id)
  return {
    quotasOf: (userId) => quotasById.get(userId) ?? [],
    addressesOf: (userId) => (addressesById.get(userId) ?? []).map(({ address }) => address),
  }
}
