import { type Kysely, type RawBuilder, sql } from 'kysely'
import { requestPrefixes } from '#core/request-prefixes.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import { gatherRequests, lockBelow, removeUserRequests } from '#storage/ledger/user-requests.ts'
import { addingUsage } from '#storage/ledger/writes.ts'
import { weighedColumns } from '#storage/ledger/written-rows.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { bounded, boundedBoth, usageSums } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { removeCorrections } from '#storage/usage/corrections.ts'
import { removeFoundBy } from '#storage/users/found-by.ts'
import type { ExpiredUser, OldAddress, OldMinutes } from './find.ts'

/**
 * Removes and gathers rows. Each call is one transaction of a few milliseconds, as long as its caller asks for few
 * rows. A power loss loses nothing that the next pass would not find again.
 */
export interface UpkeepWriter {
  /** Adds these minutes to their hours and removes them, in one transaction; answers how many minutes there were. */
  readonly gatherMinutes: (hours: readonly OldMinutes[]) => Promise<number>
  /** Adds requests that came in before to the table by user. */
  readonly gatherRequests: (before: number, limit: number) => Promise<number>
  readonly removeMinutes: (before: number, limit: number) => Promise<number>
  readonly removeEntries: (before: number, limit: number) => Promise<number>
  readonly removeEvents: (before: number, limit: number) => Promise<number>
  readonly removeUsers: (users: readonly ExpiredUser[]) => Promise<number>
  readonly removeAddresses: (addresses: readonly OldAddress[]) => Promise<number>
  readonly removeCorrections: (before: number, limit: number) => Promise<number>
}

const minuteKey = sql.raw('user_id, minute_at, family, model, upstream, status')
const hourKey = sql.raw('user_id, hour_at, family, model, upstream, status')

/** @param unreadMs the age of the oldest rows that are written but cannot be read yet */
export function createUpkeepWriter(
  db: Kysely<Schema>,
  unreadMs: (db: Kysely<Schema>) => Promise<number> = async () => 0,
) {
  return {
    writes: {
      removeCorrections: (before, limit) => removeCorrections(db, before, limit),
      gatherMinutes: (hours) => gatherMinutes(db, hours),
      removeMinutes: (before, limit) => removeMinutes(db, before, limit),
      gatherRequests: async (before, limit) => gatherRequests(db, before - (await unreadMs(db)), limit),
      removeEntries: (before, limit) => removeEntries(db, before, limit),
      removeEvents: (before, limit) => removeEvents(db, before, limit),
    },
    addressWrites: {
      removeUsers: (users) => removeUsers(db, users),
      removeAddresses: (addresses) => removeAddresses(db, addresses),
    },
  } satisfies MethodGroups<UpkeepWriter>
}

async function gatherMinutes(db: Kysely<Schema>, hours: readonly OldMinutes[]): Promise<number> {
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
    await sql`${picked} insert into usage_hours (${hourKey}, ${figures})
    select m.user_id, picked.hour_at, m.family, m.model, m.upstream, m.status, ${sums} from ${theirs}
    group by m.user_id, picked.hour_at, m.family, m.model, m.upstream, m.status
    ${added}`.execute(trx)
    const removed = await sql`${picked} delete from usage_minutes where (${minuteKey}) in (
    select m.user_id, m.minute_at, m.family, m.model, m.upstream, m.status from ${theirs})`.execute(trx)
    return Number(removed.numAffectedRows ?? 0)
  })
}

async function removeMinutes(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  const key = sql.raw('minute_at, family, model, upstream, status')
  const removed = await sql`delete from total_minutes where (${key}) in (
  select ${key} from total_minutes where minute_at < ${before} order by minute_at limit ${limit})`.execute(db)
  return Number(removed.numAffectedRows ?? 0)
}

function removeEntries(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
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

async function removeEvents(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
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

function removeUsers(db: Kysely<Schema>, users: readonly ExpiredUser[]): Promise<number> {
  return db.transaction().execute(async (trx) => {
    // Since the search, a user may have got more time or another type. A user with a running request stays until
    // the request is booked.
    const rows = await trx
      .selectFrom('users')
      .select(['id', 'expires_at', 'expiry_set_at'])
      .where(
        'id',
        'in',
        users.map(({ id }) => id),
      )
      .where('type', '=', 'temporary')
      .where((e) =>
        e.not(
          e.exists(
            e
              .selectFrom('quotas')
              .select('family')
              .whereRef('quotas.user_id', '=', 'users.id')
              .where((q) => q.or([q('open_requests', '<>', 0), q('reserved', '<>', 0)])),
          ),
        ),
      )
      .orderBy('id')
      .forUpdate()
      .execute()
    const found = new Map(users.map((user) => [user.id, user]))
    const isAsFound = (row: (typeof rows)[number]) =>
      found.get(row.id)?.expiresAt === row.expires_at && found.get(row.id)?.setAt === row.expiry_set_at
    const ids = rows.filter(isAsFound).map((row) => row.id)
    if (ids.length === 0) return 0
    await trx.deleteFrom('quotas').where('user_id', 'in', ids).execute()
    await trx.deleteFrom('addresses').where('user_id', 'in', ids).execute()
    await removeFoundBy(trx, ids)
    await trx.deleteFrom('users').where('id', 'in', ids).execute()
    return ids.length
  })
}

async function removeAddresses(db: Kysely<Schema>, addresses: readonly OldAddress[]): Promise<number> {
  if (addresses.length === 0) return 0
  const found = tuples(addresses.map(({ userId, address, lastSeenAt }) => [userId, address, lastSeenAt]))
  const removed =
    await sql`with found (user_id, address, last_seen_at) as (values ${found}) delete from addresses
  where (user_id, address) in (
    select a.user_id, a.address from found cross join addresses a
    where a.user_id = found.user_id and a.address = found.address and a.last_seen_at = found.last_seen_at)`.execute(
      db,
    )
  return Number(removed.numAffectedRows ?? 0)
}

function tuples(rows: readonly (readonly (string | number)[])[]): RawBuilder<unknown> {
  // Some databases cannot infer the types of a list of values.
  const typed = (value: string | number) =>
    typeof value === 'number' ? sql`cast(${value} as bigint)` : sql`cast(${value} as text)`
  return sql.join(rows.map((row) => sql`(${sql.join(row.map(typed))})`))
}
