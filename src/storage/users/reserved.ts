import { sql, type Transaction } from 'kysely'
import { unitsMax } from '#core/units.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * `reserved` and `open_requests` are sums over open entries, stored so that an admission need not add up. An older
 * version without bounds, or another program, may have written impossible values. Those are added up again, under the
 * lock of the user.
 */

/** Whether so many open entries can reserve so much. */
export function isPlausible(reserved: number, openRequests: number): boolean {
  return openRequests >= 0 && reserved >= 0 && reserved <= openRequests * unitsMax
}

/** A front end's account has the entries of its people as well. */
const theirs = `from entries where state = 'open' and entries.family = quotas.family
  and (entries.user_id = quotas.user_id or entries.front_end_id = quotas.user_id)`
const hold = `case when hold > ${unitsMax} then ${unitsMax} when hold < 0 then 0 else hold end`

/** Adds up again; the caller appends a condition that selects the quotas. */
export const addUpReserved = `update quotas set
  reserved = (select coalesce(sum(${hold}), 0) ${theirs}), open_requests = (select count(*) ${theirs})`

/** The same within a transaction of the control plane. */
export async function addUpReservedOf(trx: Transaction<Schema>, userIds: readonly string[]): Promise<void> {
  if (userIds.length === 0) return
  await sql`${sql.raw(addUpReserved)} where user_id in (${sql.join(userIds)})`.execute(trx)
}
