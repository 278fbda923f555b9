import { DatabaseSync } from 'node:sqlite'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import type { Settlement } from '#core/settlement.ts'
import { createVault, type MasterKeys } from '#core/vault.ts'
import type { EntryFault } from '#storage/ledger/owners.ts'
import { namedMethods } from '#storage/methods.ts'
import { integer } from '#storage/schema/columns.ts'
import { holdMasterKey } from '#storage/schema/held-key.ts'
import { createKysely } from '#storage/sqlite/dialect.ts'
import { isFault } from '#storage/sqlite/failure.ts'
import { createSqliteLedger } from '#storage/sqlite/ledger.ts'
import { fileBytes } from '#storage/sqlite/log.ts'
import { createSqliteRows } from '#storage/sqlite/many-rows.ts'
import { migrateSqlite } from '#storage/sqlite/migrate.ts'
import { refuseMoved } from '#storage/sqlite/move/moved.ts'
import { createTables } from '#storage/store-tables.ts'
import { runTogether, type WriteAnswer, type WriteCall } from './together.ts'

/**
 * The writes of the control plane. They have a connection and a thread of their own, so that a transaction over ten
 * thousand users stops no stream. A lane on the calling side lets only one of the two connections write at a time, so
 * that neither waits for a database lock.
 */
export interface WriterSettings extends MasterKeys {
  readonly path: string
  readonly policy: PolicySettings
  /** The name of this process in the entries that it opens. */
  readonly instance: string
}

/** What the writer thread does beside the writes of the tables. */
export interface WriterWork {
  /** Closes some of the entries that no process will settle any more; 0 when none are left. */
  readonly abandonSome: (now: number, silentMs: number) => Promise<number>
  /** The entries that could not be closed. */
  readonly takeFaults: () => Promise<readonly EntryFault[]>
  /**
   * Checkpoints the rest of the log and restarts it, while no write runs. False where a reader stays for too long.
   */
  readonly emptyLog: () => Promise<boolean>
  /** Truncates the file of a log that has restarted. */
  readonly cutLog: () => Promise<void>
  /** Runs writes of the tables in one transaction; the answers are in the order of the calls. */
  readonly together: (calls: readonly WriteCall[]) => Promise<readonly WriteAnswer[]>
  readonly close: () => Promise<void>
}

const busyMs = 2_000
const emptyMsMax = 50

/** Opens and migrates the database. Throws where that fails; the message says why. */
export async function openWriter(settings: WriterSettings) {
  const db = new DatabaseSync(settings.path)
  // FULL syncs every commit, so that an answered write is on disk. Checkpoints are explicit, never automatic.
  db.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = ${busyMs}`)
  db.exec('pragma wal_autocheckpoint = 0; pragma cache_size = -32768; pragma temp_store = memory')
  db.exec(`pragma journal_size_limit = ${fileBytes}`)
  await migrateSqlite(db)
  refuseMoved(db, settings.path)
  const vault = createVault(settings)
  const kysely = createKysely(db)
  await holdMasterKey(kysely, vault)
  const policy = createPolicy(settings.policy)
  const { instance } = settings
  const tables = createTables({ db: kysely, many: createSqliteRows(db), vault, policy, instance })
  const methods = namedMethods(tables, ['writes', 'addressWrites'])
  const { owners } = tables
  const ledger = createSqliteLedger(db, vault, policy, { instance, onChanges: () => undefined })
  await owners.outliveAll(Date.now())
  // Checkpoints what an earlier process left, before any request waits for it.
  db.exec('pragma wal_checkpoint(truncate)')
  const work: WriterWork = {
    async abandonSome(now, silentMs) {
      const seenBefore = now - silentMs
      const book = async (settlements: readonly Settlement[]) =>
        ledger.runBatch({ now, settlements, asks: [] })
      const closed = await owners.abandonSome(now, seenBefore, { book, isFault })
      if (closed === 0) await owners.forgetDead(seenBefore)
      return closed
    },
    takeFaults: async () => owners.takeFaults(),
    async emptyLog() {
      // All writers are waiting.
      db.exec(`pragma busy_timeout = ${emptyMsMax}`)
      try {
        return integer(db.prepare('pragma wal_checkpoint(restart)').get()?.busy) === 0
      } finally {
        db.exec(`pragma busy_timeout = ${busyMs}`)
      }
    },
    async cutLog() {
      // The first write after a restart of the log truncates its file; this one changes nothing else.
      const version = integer(db.prepare('pragma user_version').get()?.user_version)
      db.exec(`pragma user_version = ${version}`)
    },
    together: (calls) => runTogether(db, methods, calls),
    close: async () => db.close(),
  }
  return { ...methods, ...work }
}
