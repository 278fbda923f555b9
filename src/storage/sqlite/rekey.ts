import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createVault, type MasterKeys } from '#core/vault.ts'
import type { RekeyEngine } from '#storage/keys/rekey.ts'
import { refuseOtherSchema } from '#storage/schema/migrate.ts'
import { explained } from '../fault.ts'
import { createKysely } from './dialect.ts'
import { isFault } from './failure.ts'
import { identityOf } from './identity.ts'
import { assertNotMoved } from './move/moved.ts'

/** A server writes between these writes, and so does this beside a server's. */
const busyMs = 10_000

/** Opens the database beside a server that may be running on it. */
export async function openSqliteRekey(
  path: string,
  keys: MasterKeys,
): Promise<{ readonly engine: RekeyEngine; readonly close: () => Promise<void> }> {
  if (!existsSync(path)) throw new Error(`there is no database at ${path}: nothing is written with any key`)
  const db = new DatabaseSync(path)
  try {
    db.exec(`pragma busy_timeout = ${busyMs}; pragma synchronous = full; pragma wal_autocheckpoint = 0`)
    const identity = identityOf(db)
    if (!identity) throw new Error(`nothing was ever in ${path}: start the server on it first`)
    assertNotMoved(db, path)
    refuseOtherSchema(identity.schema)
    const engine: RekeyEngine = {
      db: createKysely(db),
      vault: createVault(keys),
      now: async () => Date.now(),
      retried: (work) => work(),
      hasRowLocks: false,
      isFault,
    }
    return { engine, close: async () => db.close() }
  } catch (error) {
    db.close()
    throw explained(error, dirname(path))
  }
}
