import type { Kysely } from 'kysely'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * Asked in this order, so that a user who is purged between the two is found by one of them. The id of a purged user
 * stays taken: the history that is booked under it is not that of a new user.
 */
const holders = ['select id from users where id {in}', 'select id from purged_users where id {in}']

/** Which of these ids no new user may have. */
export async function takenIds(
  db: Kysely<Schema>,
  many: ManyRows,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  for (const some of chunksOf(ids))
    for (const text of holders)
      for (const { id } of await many.query<{ readonly id: string }>(db, text, some)) taken.add(id)
  return taken
}
