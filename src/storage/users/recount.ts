import { type Kysely, sql } from 'kysely'
import { requestPrefixes } from '#core/request-prefixes.ts'
import { addUnits } from '#core/units.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import { weighedSum, wideSum } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'

const hourMs = 3_600_000
/** No relay runs for longer, so an entry that ended at some time began at most this long before. */
const relayMsMax = 24 * hourMs

/**
 * What a user used of a family since `startAt`, counted anew from the ledger: for when a quota's period is
 * changed, and what is stored was counted since another instant. Whole hours come from what requests were added up
 * to, in minutes or in hours, wherever each stands by now, so that a year's worth of entries need not be read;
 * adjustments are few, and stand together. Zones that are half an hour off begin their days in the middle of one of
 * our hours: what ended in the rest of that one is read from the entries, while they are kept.
 */
export async function countUsedSince(
  db: Kysely<Schema>,
  userId: string,
  family: string,
  startAt: number,
): Promise<number> {
  const firstHourAt = Math.ceil(startAt / hourMs) * hourMs
  const hours = await rolledUp(db, 'usage_hours', userId, family)
    .where('hour_at', '>=', firstHourAt)
    .execute()
  const minutes = await rolledUp(db, 'usage_minutes', userId, family)
    .where('minute_at', '>=', firstHourAt)
    .execute()
  const adjusted = await entriesBetween(db, userId, family, startAt, Number.MAX_SAFE_INTEGER)
    .where('id', '>=', sortableIdFrom('adj_', startAt))
    .where('id', '<', 'adj_~')
    .execute()
  const begun: { readonly units: number | null }[] = []
  const hourAt = firstHourAt - hourMs
  const gathered =
    firstHourAt === startAt
      ? []
      : await rolledUp(db, 'usage_hours', userId, family).where('hour_at', '=', hourAt).execute()
  const isGathered = gathered.some(({ units }) => units !== null)
  if (firstHourAt !== startAt && !isGathered) {
    // Still minute by minute: exact, however long ago a request began.
    const rest = await rolledUp(db, 'usage_minutes', userId, family)
      .where('minute_at', '>=', startAt)
      .where('minute_at', '<', firstHourAt)
      .execute()
    begun.push(...rest)
  }
  for (const prefix of isGathered ? requestPrefixes : []) {
    const found = await entriesBetween(db, userId, family, startAt, firstHourAt)
      .where('id', '>=', sortableIdFrom(prefix, startAt - relayMsMax))
      .where('id', '<', sortableIdFrom(prefix, firstHourAt))
      .execute()
    begun.push(...found)
  }
  return [...hours, ...minutes, ...adjusted, ...begun].reduce(
    (sum, { units }) => addUnits(sum, Number(units ?? 0)),
    0,
  )
}

function rolledUp<Table extends 'usage_hours' | 'usage_minutes'>(
  db: Kysely<Schema>,
  table: Table,
  userId: string,
  family: string,
) {
  return db
    .selectFrom<'usage_hours' | 'usage_minutes'>(table)
    .select(
      // By the weights of when each request was charged, whatever they are now.
      sql<number | null>`${sql.raw(wideSum(weighedSum))}`.as('units'),
    )
    .where('user_id', '=', userId)
    .where('family', '=', family)
}

function entriesBetween(db: Kysely<Schema>, userId: string, family: string, from: number, to: number) {
  return db
    .selectFrom('entries')
    .select(sql<number | null>`${sql.raw(wideSum('units'))}`.as('units'))
    .where('user_id', '=', userId)
    .where('family', '=', family)
    .where('ended_at', '>=', from)
    .where('ended_at', '<', to)
}
