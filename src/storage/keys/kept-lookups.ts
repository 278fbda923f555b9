import type { Kysely } from 'kysely'
import { lookupBy, type Vault } from '#core/vault.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * Secrets that are stored as a keyed hash alone, such as admin keys, cannot be hashed anew when the master key is
 * replaced. So the key of those hashes is kept, encrypted with the new master key. It opens nothing else, and the
 * secrets are too long to be guessed by it.
 */
export interface KeptLookups {
  /**
   * The hashes of a secret under the keys before the present one; none where the master key was never replaced.
   * @param db the transaction in which it is asked, where there is one
   */
  readonly olderOf: (db: Kysely<Schema>, secret: string) => Promise<readonly string[]>
}

/** The row of `facts` that holds the keys. */
export const keptLookupsName = 'lookup_keys'
/** The associated data of their encryption. */
const owner = keptLookupsName

/** A key of hashes, kept since the master key above it was replaced; epoch milliseconds. */
export interface KeptKey {
  readonly since: number
  readonly key: string
}

export function createKeptLookups(vault: Vault): KeptLookups {
  // Read once: a key is added only while every running process knows the master key above it.
  let keys: Promise<readonly KeptKey[]> | undefined
  return {
    async olderOf(db, secret) {
      keys ??= readKept(db, vault).catch((error: unknown) => {
        keys = undefined
        throw error
      })
      const kept = (await keys).map(({ key }) => lookupBy(key, secret))
      const other = vault.otherLookupOf?.(secret)
      return other === undefined ? kept : [other, ...kept.filter((each) => each !== other)]
    },
  }
}

export async function readKept(db: Kysely<Schema>, vault: Vault): Promise<readonly KeptKey[]> {
  const query = db.selectFrom('facts').select('value').where('name', '=', keptLookupsName)
  const row = await query.executeTakeFirst()
  // Written by `writeKept` alone; the encryption shows any other text.
  return row ? (JSON.parse(vault.unseal(row.value, owner)) as readonly KeptKey[]) : []
}

export async function writeKept(db: Kysely<Schema>, vault: Vault, keys: readonly KeptKey[]): Promise<void> {
  const value = vault.seal(JSON.stringify(keys), owner)
  await db
    .insertInto('facts')
    .values({ name: keptLookupsName, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute()
}
