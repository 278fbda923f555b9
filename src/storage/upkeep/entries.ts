import type { Kysely } from 'kysely'
import { requestPrefixes } from '#core/request-prefixes.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import { lockBelow, removeUserRequests } from '#storage/ledger/user-requests.ts'
import type { Schema } from '#storage/schema/tables.ts'

/** Removes closed entries that began before; adjustments stay, since no total holds them. */
export function removeEntries(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  return db.transaction().execute(async (trx) => {
    await lockBelow(trx)
    let count = 0
    // Adjustments stay: no total holds them.
    for (const prefix of requestPrefixes) {
      if (count >= limit) break
      const removed = await trx
        .deleteFrom('entries')
        .where('id', 'in', (e) =>
          e
            .selectFrom('entries')
            .select('id')
            .where('id', '>=', prefix)
            .where('id', '<', sortableIdFrom(prefix, before))
            .where('state', '<>', 'open')
            .orderBy('id')
            .limit(limit - count),
        )
        .returning(['user_id', 'id'])
        .execute()
      await removeUserRequests(trx, removed)
      count += removed.length
    }
    return count
  })
}

/** Forgets older usage events, by which duplicates are recognized. */
export async function removeEvents(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  const removed = await db
    .deleteFrom('usage_events')
    .where('id', 'in', (e) =>
      e
        .selectFrom('usage_events')
        .select('id')
        .where('counted_at', '<', before)
        .orderBy('counted_at')
        .limit(limit),
    )
    .executeTakeFirstOrThrow()
  return Number(removed.numDeletedRows)
}
