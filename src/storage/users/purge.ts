import type { Transaction } from 'kysely'
import type { By, NewChange } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import { integer } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import type { PurgedUser, UsersPurged } from '#storage/store/users.ts'
import { removeAnswers } from './idempotency.ts'
import { removeUserRows } from './remove.ts'
import { addUpReservedOf } from './reserved.ts'

interface Purging {
  readonly many: ManyRows
  readonly vault: Vault
  readonly saveChanges: SaveChanges
}

/** Where the removal of traces begins; see `storage/purge`. */
const firstTrace = 'recent'

const lockedById = 'select id from users where id {in} {lock}'
const purgedById = 'select id, purged_at from purged_users where id {in}'
const changedById = 'select distinct object as id from changes where object {in}'
const bookedById = 'select distinct user_id as id from user_requests where user_id {in}'

const newPurged = inserts('purged_users', ['id', 'purged_at', 'traces'], 'on conflict (id) do nothing')

/**
 * Removes users with all rows of theirs, and notes their ids. A user with running requests stays: those are booked on
 * the user. The lock of a user keeps new ones from being admitted. No column but the id is read, so that damaged rows go too.
 */
export async function purgeUsers(
  trx: Transaction<Schema>,
  { many, vault, saveChanges }: Purging,
  userIds: readonly string[],
  by: By,
): Promise<UsersPurged> {
  const known = await idsOf(trx, many, lockedById, userIds)
  const running = await runningAmong(trx, [...known])
  const busy = userIds.findIndex((id) => running.has(id))
  if (busy >= 0) return { kind: 'running', index: busy }
  const before = await findPurged(trx, many, userIds)
  // Of a user whom upkeep has removed, changes and entries still speak.
  const gone = userIds.filter((id) => !known.has(id) && !before.has(id))
  const traced = new Set([
    ...(await idsOf(trx, many, changedById, gone)),
    ...(await idsOf(trx, many, bookedById, gone)),
  ])
  const unknown = userIds.findIndex((id) => !known.has(id) && !before.has(id) && !traced.has(id))
  if (unknown >= 0) return { kind: 'unknown', index: unknown }
  const fresh = [...new Set(userIds)].filter((id) => !before.has(id))
  await removeUserRows(trx, [...known])
  await removeAnswers(trx, vault, fresh)
  await forgetUndo(trx, fresh)
  await many.write(
    trx,
    newPurged,
    fresh.map((id) => [id, by.now, firstTrace]),
  )
  await saveChanges(
    trx,
    fresh.map((object): NewChange => ({ by, kind: 'user.purged', object })),
  )
  return {
    kind: 'purged',
    users: userIds.map((id): PurgedUser => ({ id, purgedAt: before.get(id) ?? by.now })),
  }
}

/** When those of these users were purged who were. */
async function findPurged(
  db: Transaction<Schema>,
  many: ManyRows,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  for (const ids of chunksOf(userIds))
    for (const row of await many.query<{ readonly id: string; readonly purged_at: unknown }>(
      db,
      purgedById,
      ids,
    ))
      found.set(row.id, integer(row.purged_at))
  return found
}

async function idsOf(
  trx: Transaction<Schema>,
  many: ManyRows,
  text: string,
  userIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const ids of chunksOf(userIds))
    for (const { id } of await many.query<{ readonly id: string }>(trx, text, ids)) found.add(id)
  return found
}

/** Counted from the entries where the quota says so: a quota may be damaged, and a user must be purged also then. */
async function runningAmong(
  trx: Transaction<Schema>,
  userIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const busy = await busyAmong(trx, userIds)
  if (busy.length === 0) return new Set()
  await addUpReservedOf(trx, busy)
  return new Set(await busyAmong(trx, busy))
}

async function busyAmong(trx: Transaction<Schema>, userIds: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const ids of chunksOf(userIds))
    for (const row of await trx
      .selectFrom('quotas')
      .select('user_id')
      .distinct()
      .where('user_id', 'in', ids)
      .where((q) => q.or([q('open_requests', '<>', 0), q('reserved', '<>', 0)]))
      .execute())
      found.push(row.user_id)
  return found
}

/** A bulk run keeps that it changed the user, and no longer from what. */
async function forgetUndo(trx: Transaction<Schema>, userIds: readonly string[]): Promise<void> {
  // There are few runs, and no index by user.
  const runs = await trx.selectFrom('bulk_runs').select('id').execute()
  for (const ids of chunksOf(userIds))
    for (const some of chunksOf(runs.map((run) => run.id)))
      await trx
        .updateTable('bulk_changes')
        .set({ undo: '[]' })
        .where('run_id', 'in', some)
        .where('user_id', 'in', ids)
        .execute()
}
