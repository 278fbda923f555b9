import type { Kysely } from 'kysely'
import type { Vault } from '#core/vault.ts'
import type { Schema } from './tables.ts'

/** The row of `facts` that names the master keys with which something in the database is written. */
const held = 'master_key'

/**
 * Binds the database to its master key. With another key every user would be unknown, without a visible reason. While
 * a key is being replaced the database holds both: each of them has to be configured until `tollgate rekey` is done.
 * Throws where one is missing.
 */
export async function holdMasterKey(db: Kysely<Schema>, vault: Vault): Promise<void> {
  const { fingerprint } = vault
  await db
    .insertInto('facts')
    .values({ name: held, value: fingerprint })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  for (;;) {
    const fingerprints = await heldKeys(db)
    refuseMissing(fingerprints, vault)
    if (fingerprints.includes(fingerprint)) return
    if (await replaceHeld(db, fingerprints, [...fingerprints, fingerprint])) return
  }
}

/**
 * Names the key with which this process writes again where it is not named any more: `tollgate rekey` ended at the moment
 * at which the process began. The database is then between two keys once more, and needs both.
 */
export async function holdAgain(db: Kysely<Schema>, { fingerprint }: Vault): Promise<void> {
  for (;;) {
    const held = await heldKeys(db)
    if (held.length === 0 || held.includes(fingerprint)) return
    if (await replaceHeld(db, held, [...held, fingerprint])) return
  }
}

/** The fingerprints of the keys with which something is written. */
export async function heldKeys(db: Kysely<Schema>): Promise<readonly string[]> {
  const row = await db.selectFrom('facts').select('value').where('name', '=', held).executeTakeFirst()
  return row?.value.split(' ') ?? []
}

/** False where another process has changed the row since it was read. */
export async function replaceHeld(
  db: Kysely<Schema>,
  before: readonly string[],
  after: readonly string[],
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('facts')
    .set({ value: after.join(' ') })
    .where('name', '=', held)
    .where('value', '=', before.join(' '))
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

export function refuseMissing(fingerprints: readonly string[], vault: Vault): void {
  if (fingerprints.every((each) => vault.fingerprints.includes(each))) return
  if (fingerprints.length === 1)
    throw new Error(
      'MASTER_KEY is not the one this database was made with: restore it, nothing can be read without it',
    )
  throw new Error(
    'this database is between two master keys: set MASTER_KEY and MASTER_KEY_PREVIOUS until tollgate rekey is done',
  )
}
