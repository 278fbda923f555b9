import { type Kysely, sql } from 'kysely'
import { sharedUsageOf } from '#core/front-end.ts'
import { requestPrefixes } from '#core/request-prefixes.ts'
import { addUnits } from '#core/units.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import { weighedSum, wideSum } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'

const hourMs = 3_600_000
/** No relay runs longer, so an entry began at most this long before it ended. */
const relayMsMax = 24 * hourMs

/**
 * Counts a user's usage of a family since `startAt` from the ledger. It is needed when a quota's kind of period
 * changes, since the stored count began at another instant. Whole hours are read from the roll-ups, in minutes or
 * hours, wherever each stands now, so a year of entries need not be read. Adjustments are few and indexed. In time
 * zones that are half an hour off, a day begins in the middle of one of our hours: the rest of that hour is read from
 * the entries, while they are kept.
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
  const adjusted = await entriesBetween(db, family, startAt, Number.MAX_SAFE_INTEGER)
    .where('user_id', '=', userId)
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
    // This hour is still stored by the minute, so the count is exact.
    const rest = await rolledUp(db, 'usage_minutes', userId, family)
      .where('minute_at', '>=', startAt)
      .where('minute_at', '<', firstHourAt)
      .execute()
    begun.push(...rest)
  }
  for (const prefix of isGathered ? requestPrefixes : []) {
    const found = await entriesBetween(db, family, startAt, firstHourAt)
      .where((e) => e.or([e('user_id', '=', userId), e('front_end_id', '=', userId)]))
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
  return (
    db
      .selectFrom<'usage_hours' | 'usage_minutes'>(table)
      .select(
        // By the weights at the time of each request, whatever they are now.
        sql<number | null>`${sql.raw(wideSum(weighedSum))}`.as('units'),
      )
      // A front end's account counts what its people use.
      .where('user_id', 'in', [userId, sharedUsageOf(userId)])
      .where('family', '=', family)
  )
}

function entriesBetween(db: Kysely<Schema>, family: string, from: number, to: number) {
  return db
    .selectFrom('entries')
    .select(sql<number | null>`${sql.raw(wideSum('units'))}`.as('units'))
    .where('family', '=', family)
    .where('ended_at', '>=', from)
    .where('ended_at', '<', to)
}
