import { type Kysely, sql } from 'kysely'
import type { Policy } from '#core/admission.ts'
import { UNLIMITED } from '#core/user.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * Finds rows for upkeep where no index leads to them. It reads a piece of a table at a time, in a thread that no
 * request waits for. The writer that acts on a finding checks again whether it still holds.
 */
export interface UpkeepFinder {
  /** Hours for which users still have minutes, of those that began before; `before` is a whole hour. */
  readonly findOldMinutes: (before: number, after: string) => Promise<Found<OldMinutes, string>>
  /** Temporary users whose expiry lies before, and was also written before. */
  readonly findExpiredUsers: (
    expiredBefore: number,
    after: ExpiryKey,
  ) => Promise<Found<ExpiredUser, ExpiryKey>>
  readonly findOldAddresses: (now: number, after: AddressKey) => Promise<Found<OldAddress, AddressKey>>
}

export interface Found<Item, Place> {
  readonly items: readonly Item[]
  /** Where the search continues; absent at the end. */
  readonly next?: Place
}

export interface OldMinutes {
  readonly userId: string
  readonly hourAt: number
  readonly rows: number
}

export interface ExpiredUser {
  readonly id: string
  readonly expiresAt: number
  /** When the expiry was written; null where an earlier version wrote it, as one that was still ahead. */
  readonly setAt: number | null
}

export interface ExpiryKey {
  readonly id: string
  readonly expiresAt: number
}

export interface AddressKey {
  readonly userId: string
  readonly address: string
}

export interface OldAddress extends AddressKey {
  /** As it was read: an address that was seen since then is no longer old. */
  readonly lastSeenAt: number
}

const hourMs = 3_600_000
const dayMs = 86_400_000
/** Takes a few milliseconds to read. */
const usersAtOnce = 1000
const rowsAtOnce = 5000

export function createUpkeepFinder(db: Kysely<Schema>, policy: Policy) {
  return {
    long: {
      findOldMinutes: (before, after) => findOldMinutes(db, before, after),
      findExpiredUsers: (expiredBefore, after) => findExpiredUsers(db, expiredBefore, after),
      findOldAddresses: (now, after) => findOldAddresses(db, policy, now, after),
    },
  } satisfies MethodGroups<UpkeepFinder>
}

async function findOldMinutes(
  db: Kysely<Schema>,
  before: number,
  after: string,
): Promise<Found<OldMinutes, string>> {
  // Two look-ups for each user, which skip all the minutes that are not old.
  const { rows } = await sql<{ user_id: string; oldest_at: number }>`
  with recursive heads (user_id) as (
    select min(user_id) from usage_minutes where user_id > ${after}
    union all
    select (select min(user_id) from usage_minutes where user_id > heads.user_id)
      from heads where heads.user_id is not null
  ), next_ones as (select user_id from heads where user_id is not null limit ${sql.lit(usersAtOnce)})
  select user_id, (select min(minute_at) from usage_minutes m where m.user_id = next_ones.user_id) as oldest_at
    from next_ones`.execute(db)
  const old = rows.filter((row) => row.oldest_at < before).map((row) => row.user_id)
  const last = rows.length === usersAtOnce ? rows.at(-1) : undefined
  return { items: await hoursOf(db, old, before), ...(last && { next: last.user_id }) }
}

async function findExpiredUsers(
  db: Kysely<Schema>,
  expiredBefore: number,
  after: ExpiryKey,
): Promise<Found<ExpiredUser, ExpiryKey>> {
  const rows = await db
    .selectFrom('users')
    .select(['id', 'expires_at', 'expiry_set_at', 'type'])
    .where('expires_at', '<', expiredBefore)
    .where(sql<boolean>`(expires_at, id) > (${after.expiresAt}, ${after.id})`)
    .orderBy('expires_at')
    .orderBy('id')
    .limit(rowsAtOnce)
    .execute()
  const items = rows.map((row) => ({
    id: row.id,
    expiresAt: row.expires_at ?? 0,
    setAt: row.expiry_set_at,
    type: row.type,
  }))
  const last = items.length === rowsAtOnce ? items.at(-1) : undefined
  return {
    items: items
      .filter(({ type, setAt }) => type === 'temporary' && (setAt ?? 0) < expiredBefore)
      .map(({ id, expiresAt, setAt }) => ({ id, expiresAt, setAt })),
    ...(last && { next: { id: last.id, expiresAt: last.expiresAt } }),
  }
}

async function findOldAddresses(
  db: Kysely<Schema>,
  policy: Policy,
  now: number,
  after: AddressKey,
): Promise<Found<OldAddress, AddressKey>> {
  // Each user by its own look-up: a join would also read all users before this piece.
  const rows = await db
    .selectFrom('addresses')
    .select((e) => [
      'user_id',
      'address',
      'last_seen_at',
      e
        .selectFrom('users')
        .select('ip_window_days')
        .whereRef('users.id', '=', 'addresses.user_id')
        .as('ip_window_days'),
    ])
    .where(sql<boolean>`(user_id, address) > (${after.userId}, ${after.address})`)
    .orderBy('user_id')
    .orderBy('address')
    .limit(rowsAtOnce)
    .execute()
  const items = rows.map((row) => {
    const days = row.ip_window_days ?? policy.defaults.ipWindowDays ?? UNLIMITED
    const since = days === UNLIMITED ? Number.NEGATIVE_INFINITY : now - days * dayMs
    const isOld = row.last_seen_at < since
    return { userId: row.user_id, address: row.address, lastSeenAt: row.last_seen_at, isOld }
  })
  const last = items.length === rowsAtOnce ? items.at(-1) : undefined
  return {
    items: items
      .filter(({ isOld }) => isOld)
      .map(({ userId, address, lastSeenAt }) => ({ userId, address, lastSeenAt })),
    ...(last && { next: { userId: last.userId, address: last.address } }),
  }
}

async function hoursOf(
  db: Kysely<Schema>,
  userIds: readonly string[],
  before: number,
): Promise<readonly OldMinutes[]> {
  if (userIds.length === 0) return []
  const hour = sql<number>`minute_at - minute_at % ${sql.lit(hourMs)}`
  const rows = await db
    .selectFrom('usage_minutes')
    .select((e) => ['user_id', hour.as('hour_at'), e.fn.countAll<number>().as('count')])
    .where('user_id', 'in', userIds)
    .where('minute_at', '<', before)
    .groupBy(['user_id', hour])
    .orderBy('user_id')
    .orderBy(hour)
    .execute()
  return rows.map((row) => ({
    userId: row.user_id,
    hourAt: Number(row.hour_at),
    rows: Number(row.count),
  }))
}
