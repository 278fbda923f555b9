import { type Kysely, sql, type Transaction } from 'kysely'
import { addingUsage } from '#storage/ledger/writes.ts'
import { weighedColumns } from '#storage/ledger/written-rows.ts'
import { bounded, boundedBoth, usageSums } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { OldMinutes } from './find.ts'
import { tuples } from './tuples.ts'

const minuteKey = sql.raw('user_id, minute_at, family, model, upstream, status')
const hourKey = sql.raw('user_id, hour_at, family, model, upstream, status')

/** Adds these minutes to their hours and removes them, in one transaction; answers how many minutes there were. */
export async function gatherMinutes(db: Kysely<Schema>, hours: readonly OldMinutes[]): Promise<number> {
  if (hours.length === 0) return 0
  const picked = sql`with picked (user_id, hour_at) as (values ${tuples(hours.map(({ userId, hourAt }) => [userId, hourAt]))})`
  const theirs = sql`picked cross join usage_minutes m
  where m.user_id = picked.user_id and m.minute_at >= picked.hour_at and m.minute_at < picked.hour_at + 3600000`
  const figures = sql.join([...usageSums, 'weighing'].map((name) => sql.ref(name)))
  // The minutes of one hour, each at its bound, are far below the bound of 64 bits.
  const sums = sql.raw(
    [
      ...usageSums.map((name) => bounded(`sum(${bounded(`m.${name}`)})`)),
      boundedBoth(`sum(${boundedBoth('m.weighing')})`),
    ].join(', '),
  )
  const added = sql.raw(addingUsage('usage_hours', ['user_id', 'hour_at', ...weighedColumns]))
  return db.transaction().execute(async (trx) => {
    await lockMinutes(trx, hours)
    await sql`${picked} insert into usage_hours (${hourKey}, ${figures})
    select m.user_id, picked.hour_at, m.family, m.model, m.upstream, m.status, ${sums} from ${theirs}
    group by m.user_id, picked.hour_at, m.family, m.model, m.upstream, m.status
    ${added}`.execute(trx)
    const removed = await sql`${picked} delete from usage_minutes where (${minuteKey}) in (
    select m.user_id, m.minute_at, m.family, m.model, m.upstream, m.status from ${theirs})`.execute(trx)
    return Number(removed.numAffectedRows ?? 0)
  })
}

/** Locks what the minutes of these hours belong to, and the minutes. */
async function lockMinutes(trx: Transaction<Schema>, hours: readonly OldMinutes[]): Promise<void> {
  // A booking between adding up and removing would be lost; bookings take this lock first.
  const ids = [...new Set(hours.map(({ userId }) => userId))]
  await trx.selectFrom('users').select('id').where('id', 'in', ids).orderBy('id').forUpdate().execute()
  // Two processes must not add up the same minutes, including those of deleted users, who have no row to lock.
  await trx
    .selectFrom('usage_minutes')
    .select('user_id')
    .where('user_id', 'in', ids)
    .where('minute_at', '<', Math.max(...hours.map(({ hourAt }) => hourAt)) + 3_600_000)
    .orderBy('user_id')
    .orderBy('minute_at')
    .forUpdate()
    .execute()
}

/** Removes older minutes of the totals. */
export async function removeMinutes(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  const key = sql.raw('minute_at, family, model, upstream, status')
  const removed = await sql`delete from total_minutes where (${key}) in (
  select ${key} from total_minutes where minute_at < ${before} order by minute_at limit ${limit})`.execute(db)
  return Number(removed.numAffectedRows ?? 0)
}
