import type { Kysely } from 'kysely'
import type { Schema } from '#storage/schema/tables.ts'

/** Removes links whose time was over before. */
export async function removeEndedClaims(
  db: Kysely<Schema>,
  endedBefore: number,
  limit: number,
): Promise<number> {
  const removed = await db
    .deleteFrom('claims')
    .where('id', 'in', (e) =>
      e.selectFrom('claims').select('id').where('expires_at', '<', endedBefore).limit(limit),
    )
    .executeTakeFirstOrThrow()
  return Number(removed.numDeletedRows)
}
