import type { Kysely } from 'kysely'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { readQuota } from '#storage/quotas/rows.ts'
import type { QuotaRow, Schema } from '#storage/schema/tables.ts'

/** The rows of other tables that belong to users. */
export interface UserParts {
  /** Throws where a row of this user is damaged. */
  readonly quotasOf: (userId: string) => readonly LoadedQuota[]
  /** In the order in which they were first seen. */
  readonly addressesOf: (userId: string) => readonly string[]
}

const quotasText = 'select * from quotas where user_id {in}'
const addressesText =
  'select user_id, address from addresses where user_id {in} order by first_seen_at, address'

export async function readUserParts(
  db: Kysely<Schema>,
  many: ManyRows,
  ids: readonly string[],
): Promise<UserParts> {
  const quotas = new Map<string, QuotaRow[]>()
  const addresses = new Map<string, { readonly user_id: string; readonly address: string }[]>()
  for (const chunk of chunksOf(ids)) {
    gather(quotas, await many.query<QuotaRow>(db, quotasText, chunk))
    gather(addresses, await many.query(db, addressesText, chunk))
  }
  return {
    quotasOf: (userId) => (quotas.get(userId) ?? []).map(readQuota),
    addressesOf: (userId) => (addresses.get(userId) ?? []).map(({ address }) => address),
  }
}

function gather<Row extends { readonly user_id: string }>(
  byUser: Map<string, Row[]>,
  rows: readonly Row[],
): void {
  for (const row of rows) {
    const known = byUser.get(row.user_id)
    if (known) known.push(row)
    else byUser.set(row.user_id, [row])
  }
}
