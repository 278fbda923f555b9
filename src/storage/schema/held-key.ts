import type { Kysely } from 'kysely'
import type { Schema } from './tables.ts'

/**
 * The database belongs to one master key: with another one every user would be unknown, and nobody would see why.
 * Throws where it is another.
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
