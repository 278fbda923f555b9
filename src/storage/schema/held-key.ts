import type { Kysely } from 'kysely'
import type { Schema } from './tables.ts'

/**
 * Binds the database to one master key. With another key every user would be unknown, without a visible reason.
 * Throws where the key is another one.
 */
export async function holdMasterKey(db: Kysely<Schema>, fingerprint: string): Promise<void> {
  await db
    .insertInto('facts')
    .values({ name: 'master_key', value: fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const held = await db
    .selectFrom('facts')
    .select('value')
    .where('name', '=', 'master_key')
    .executeTakeFirst()
  if (held?.value !== fingerprint) {
    throw new Error(
      'MASTER_KEY is not the one this database was made with: restore it, nothing can be read without it',
    )
  }
}
