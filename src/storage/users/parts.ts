import type { Kysely } from 'kysely'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { readQuota } from '#storage/quotas/rows.ts'
import type { QuotaRow, Schema } from '#storage/schema/tables.ts'
import { chunksOf } from './quota-changes.ts'

/** The rows of other tables that belong to users. */
export interface UserParts {
  /** Throws where a row of this user is damaged. */
  readonly quotasOf: (userId: string) => readonly LoadedQuota[]
  /** In the order in which they were first seen. */
  readonly addressesOf: (userId: string) => readonly string[]
}

/** The largest number of users in one statement: databases limit the number of parameters. */
const usersAtOnce = 1_000

export async function readUserParts(db: Kysely<Schema>, ids: readonly string[]): Promise<UserParts> {
  const quotas: QuotaRow[] = []
  const addresses: { readonly user_id: string; readonly address: string }[] = []
  for (const chunk of chunksOf(ids, usersAtOnce)) {
    const stored = await db.selectFrom('quotas').selectAll().where('user_id', 'in', chunk).execute()
    quotas.push(...stored)
    const seen = await db
      .selectFrom('addresses')
      .select(['user_id', 'address'])
      .where('user_id', 'in', chunk)
      .orderBy('first_seen_at')
      .orderBy('address')
      .execute()
    addresses.push(...seen)
  }
  const quotasById = Map.groupBy(quotas, (quota) => quota.user_id)
  const addressesById = Map.groupBy(addresses, (row) => row.user_id)
  return {
    quotasOf: (userId) => (quotasById.get(userId) ?? []).map(readQuota),
    addressesOf: (userId) => (addressesById.get(userId) ?? []).map(({ address }) => address),
  }
}
