import type { Kysely, Transaction } from 'kysely'
import { chunksOf } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'

/** The tables of what is accepted beside the present access token: those before it, and SHA-256 digests. */
type TokenTable = 'old_tokens' | 'token_digests'

/** Removes the rows of these users. */
export async function removeOf(
  trx: Transaction<Schema>,
  table: TokenTable,
  ids: readonly string[],
): Promise<void> {
  for (const some of chunksOf(ids)) await trx.deleteFrom(table).where('user_id', 'in', some).execute()
}

/** Frees these hashes where what has them is not accepted any more: the table has each once. */
export async function removeEndedAmong(
  trx: Transaction<Schema>,
  table: TokenTable,
  hmacs: readonly string[],
  now: number,
): Promise<void> {
  for (const some of chunksOf(hmacs))
    await trx.deleteFrom(table).where('token_hmac', 'in', some).where('valid_until', '<=', now).execute()
}

/** Removes up to so many users' rows of what is not accepted any more. Returns how many rows that were. */
export async function removeEndedOf(
  db: Kysely<Schema>,
  table: TokenTable,
  now: number,
  limit: number,
): Promise<number> {
  const removed = await db
    .deleteFrom(table)
    .where('user_id', 'in', (e) =>
      e.selectFrom(table).select('user_id').where('valid_until', '<=', now).limit(limit),
    )
    // One that was rotated since it was found has another end.
    .where('valid_until', '<=', now)
    .executeTakeFirstOrThrow()
  return Number(removed.numDeletedRows)
}
