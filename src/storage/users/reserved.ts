import { sql, type Transaction } from 'kysely'
import { unitsMax } from '#core/units.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * `reserved` and the number of running requests are sums over open entries, kept beside them so that an admission
 * need not add up. Where they cannot be that, since a version without bounds or another program wrote them, they are
 * added up anew. To be done under the lock of the user.
 */

/** Whether the entries that are said to be open can hold that much. */
export function isPlausible(reserved: number, openRequests: number): boolean {
  return openRequests >= 0 && reserved >= 0 && reserved <= openRequests * unitsMax
}

const theirs =
  "from entries where state = 'open' and entries.user_id = quotas.user_id and entries.family = quotas.family"
const hold = `case when hold > ${unitsMax} then ${unitsMax} when hold < 0 then 0 else hold end`

/** Adds up anew; behind it belongs which quotas. */
export const addUpReserved = `update quotas set
  reserved = (select coalesce(sum(${hold}), 0) ${theirs}), open_requests = (select count(*) ${theirs})`

/** The same within a transaction of the control plane. */
export async function addUpReservedOf(trx: Transaction<Schema>, userIds: readonly string[]): Promise<void> {
  if (userIds.length === 0) return
  await sql`${sql.raw(addUpReserved)} where user_id in (${sql.join(userIds)})`.execute(trx)
}
