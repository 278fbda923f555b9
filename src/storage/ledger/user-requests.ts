import { type Kysely, sql } from 'kysely'
import { requestPrefixes } from '#core/request-prefixes.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { LedgerChanges } from './changes.ts'

/**
 * The requests of each user, in the order of their ids, in a table beside the ledger. A request does not write to it
 * itself: in the order of users each row lies in another page. Upkeep gathers the rows of many requests at once, when
 * their ids are a minute old, and stores the id below which every request is in the table (`below`). A list reads the
 * table below that id, and all entries from there on.
 *
 * A batch may book an id that is older than that (a body that took long to arrive, a request whose entry was lost).
 * It then writes the row itself.
 */

const prefixLength = 4

/** The metadata row that holds `below`; empty until requests were gathered for the first time. */
export const belowName = 'user_requests_below'

/** A batch itself writes the row of an id that is older than this when booked. */
const lateMs = 20_000
/**
 * Requests are gathered when they are this old. The difference to `lateMs` covers the clock skew between two
 * instances and the time that a batch takes to be written.
 */
export const gatheredAfterMs = 60_000

/** An id without its prefix: the time at which it was made, and the part that makes it unique. */
export function placeOf(id: string): string {
  return id.slice(prefixLength)
}

/** The user and id of each request that a batch has to add to the table itself. */
export function lateRequests(
  { opened, counted }: LedgerChanges,
  below: string,
  now: number,
): readonly (readonly [userId: string, id: string])[] {
  if (opened.length + counted.length === 0) return []
  const recent = sortableIdFrom('', now - lateMs)
  // A clock that was set back makes ids that upkeep has already passed.
  const since = below > recent ? below : recent
  const late: (readonly [string, string])[] = []
  for (const { ask, userId } of opened) if (placeOf(ask.requestId) < since) late.push([userId, ask.requestId])
  for (const { event, userId } of counted)
    if (placeOf(event.requestId) < since) late.push([userId, event.requestId])
  return late
}

export async function readBelow(db: Kysely<Schema>): Promise<string> {
  const row = await db.selectFrom('facts').select('value').where('name', '=', belowName).executeTakeFirst()
  return row?.value ?? ''
}

/**
 * Adds the next requests with an id below `before`; answers how many there were.
 *
 * @param limit for each prefix
 */
export function gatherRequests(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const from = await lockBelow(trx)
    const until = sortableIdFrom('', before)
    if (from >= until) return 0
    const ends: string[] = [until]
    for (const prefix of requestPrefixes) {
      const next = await trx
        .selectFrom('entries')
        .select('id')
        .where('id', '>=', prefix + from)
        .where('id', '<', prefix + until)
        .orderBy('id')
        .limit(1)
        .offset(limit)
        .executeTakeFirst()
      if (next) ends.push(placeOf(next.id))
    }
    const below = ends.reduce((a, b) => (a < b ? a : b))
    const found = sql.join(
      requestPrefixes.map(
        (prefix) =>
          sql`select user_id, id from entries where id >= ${prefix + from} and id < ${prefix + below}`,
      ),
      sql` union all `,
    )
    const { rows } = await sql<{ count: unknown }>`select count(*) as count from (${found}) as found`.execute(
      trx,
    )
    const count = Number(rows[0]?.count)
    // `below` moves only when there was something to gather: an idle database is not written to.
    if (count === 0) return 0
    await sql`insert into user_requests (user_id, id) select user_id, id from (${found}) as found
      where true order by user_id, id on conflict do nothing`.execute(trx)
    await trx.updateTable('facts').set({ value: below }).where('name', '=', belowName).execute()
    return count
  })
}

/** Removes the rows of entries that are removed, in the same transaction, under the lock of `lockBelow`. */
export async function removeUserRequests(
  trx: Kysely<Schema>,
  removed: readonly { readonly user_id: string; readonly id: string }[],
): Promise<void> {
  if (removed.length === 0) return
  const keys = sql.join(removed.map((row) => sql`(${row.user_id}, ${row.id})`))
  await sql`delete from user_requests where (user_id, id) in (values ${keys})`.execute(trx)
}

/** One process at a time gathers or removes: otherwise one could add a row that another has just removed. */
export async function lockBelow(trx: Kysely<Schema>): Promise<string> {
  const row = await trx
    .selectFrom('facts')
    .select('value')
    .where('name', '=', belowName)
    .forUpdate()
    .executeTakeFirst()
  return row?.value ?? ''
}
