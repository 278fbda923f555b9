import { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { namedMethods } from '#storage/methods.ts'
import { integer } from '#storage/schema/columns.ts'
import { createKysely } from '#storage/sqlite/dialect.ts'
import { createSqliteRows } from '#storage/sqlite/many-rows.ts'
import { createTables } from '#storage/store-tables.ts'
import type { WriterSettings } from './writer.ts'

/**
 * Long work that no request waits for: the tables' long methods, and checkpoints. It runs in a thread of its own.
 */
export interface BackgroundWork {
  /** Copies the log into the database as far as no reader needs it, without blocking others. */
  readonly checkpoint: () => Promise<CheckpointResult>
  readonly close: () => Promise<void>
}

interface CheckpointResult {
  /** Pages in the log when the checkpoint began, and how many of them are in the database now. */
  readonly pages: number
  readonly moved: number
}

/** Opens a connection to an existing, migrated database. */
export async function openBackground(settings: WriterSettings) {
  const db = new DatabaseSync(settings.path)
  db.exec('pragma synchronous = full; pragma busy_timeout = 10000; pragma wal_autocheckpoint = 0')
  const [vault, policy] = [createVault(settings), createPolicy(settings.policy)]
  const tables = createTables({
    ...{ db: createKysely(db), many: createSqliteRows(db) },
    ...{ vault, policy, instance: settings.instance },
  })
  const work: BackgroundWork = {
    async checkpoint() {
      const row = db.prepare('pragma wal_checkpoint(passive)').get()
      return { pages: integer(row?.log), moved: integer(row?.checkpointed) }
    },
    close: async () => db.close(),
  }
  return { ...namedMethods(tables, ['long']), ...work }
}
