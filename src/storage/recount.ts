import { type Kysely, sql } from 'kysely'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import type { Schema } from './schema.ts'

const hourMs = 3_600_000
/** No relay runs for longer, so an entry that ended at some time began at most this long before. */
const relayMsMax = 24 * hourMs

/**
 * What a user used of a family since `startAt`, counted anew from the ledger: for when a quota's period is
 * changed, and what is stored was counted since another instant. Whole hours come from the hourly totals, so that
 * a year's worth of entries need not be read; adjustments are few, and stand together.
 */
export async function countUsedSince(
  db: Kysely<Schema>,
  userId: string,
  family: string,
  startAt: number,
): Promise<number> {
  const firstHourAt = Math.ceil(startAt / hourMs) * hourMs
  const hours = await db
    .selectFrom('usage_hours')
    .select(sql<number | null>`sum(input + cache_read + cache_written + output + reasoning)`.as('units'))
    .where('user_id', '=', userId)
    .where('family', '=', family)
    .where('hour_at', '>=', firstHourAt)
    .executeTakeFirstOrThrow()
  const adjusted = await entriesBetween(db, userId, family, startAt, Number.MAX_SAFE_INTEGER)
    .where('id', '>=', sortableIdFrom('adj_', startAt))
    .where('id', '<', 'adj_~')
    .executeTakeFirstOrThrow()
  if (firstHourAt === startAt) return Number(hours.units ?? 0) + Number(adjusted.units ?? 0)
  // Zones that are half an hour off begin their days in the middle of one of ours.
  const begun = await entriesBetween(db, userId, family, startAt, firstHourAt)
    .where('id', '>=', sortableIdFrom('req_', startAt - relayMsMax))
    .where('id', '<', sortableIdFrom('req_', firstHourAt))
    .executeTakeFirstOrThrow()
  return Number(hours.units ?? 0) + Number(adjusted.units ?? 0) + Number(begun.units ?? 0)
}

function entriesBetween(db: Kysely<Schema>, userId: string, family: string, from: number, to: number) {
  return db
    .selectFrom('entries')
    .select((e) => e.fn.sum<number | null>('units').as('units'))
    .where('user_id', '=', userId)
    .where('family', '=', family)
    .where('ended_at', '>=', from)
    .where('ended_at', '<', to)
}
