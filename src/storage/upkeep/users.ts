import { type Kysely, sql, type Transaction } from 'kysely'
import type { By, NewChange } from '#core/change.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { removeUserRows } from '#storage/users/remove.ts'
import type { ExpiredUser, OldAddress } from './find.ts'
import { tuples } from './tuples.ts'

/** Removes those of these users who are as they were found; their usage stays in the totals. */
export function removeUsers(
  db: Kysely<Schema>,
  saveChanges: SaveChanges,
  users: readonly ExpiredUser[],
  by: By,
): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const found = new Map(users.map((user) => [user.id, user]))
    const rows = (await lockIdle(trx, [...found.keys()])).filter(
      (row) =>
        found.get(row.id)?.expiresAt === row.expires_at && found.get(row.id)?.setAt === row.expiry_set_at,
    )
    const ids = rows.map((row) => row.id)
    if (ids.length === 0) return 0
    await removeUserRows(trx, ids)
    await saveChanges(
      trx,
      rows.map((row) => removal(row, by)),
    )
    return ids.length
  })
}

type IdleUser = Awaited<ReturnType<typeof lockIdle>>[number]

/**
 * Since the search, a user may have got more time or another type. A user with a running request stays until the
 * request is booked.
 */
function lockIdle(trx: Transaction<Schema>, ids: readonly string[]) {
  return trx
    .selectFrom('users')
    .select(['id', 'token_hint', 'nickname', 'expires_at', 'expiry_set_at'])
    .where('id', 'in', ids)
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
}

function removal({ id, token_hint, nickname, expires_at }: IdleUser, by: By): NewChange {
  const before = {
    accessToken: token_hint,
    type: 'temporary',
    ...(nickname !== null && { nickname }),
    expiresAt: expires_at,
  }
  return { by, kind: 'user.removed', object: id, before }
}

/** Removes addresses that have left their user's time window. */
export async function removeAddresses(db: Kysely<Schema>, addresses: readonly OldAddress[]): Promise<number> {
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
