import type { MasterKeys } from '#core/vault.ts'
import { type Rekey, type Rekeyed, rekey } from './keys/rekey.ts'
import type { DatabaseSettings } from './open.ts'
import { openPostgresRekey } from './postgres/rekey.ts'
import { openSqliteRekey } from './sqlite/rekey.ts'

export type { Rekeyed, RekeyProgress } from './keys/rekey.ts'

/**
 * Seals what is stored anew with the present master key, whether instances run on the database or not. Throws with one
 * sentence where that cannot be done.
 */
export async function rekeyStore(
  { database, ...keys }: MasterKeys & { readonly database: DatabaseSettings },
  work: Rekey,
): Promise<Rekeyed> {
  const opened =
    database.kind === 'postgres'
      ? await openPostgresRekey(database.url, keys)
      : await openSqliteRekey(database.path, keys)
  try {
    return await rekey(opened.engine, work)
  } finally {
    await opened.close()
  }
}
