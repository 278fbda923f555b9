import { DatabaseSync } from 'node:sqlite'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import { noUsage } from '#core/usage.ts'
import { createVault } from '#core/vault.ts'
import { createAdminKeyTable } from '../admin-keys.ts'
import { migrate } from '../migrate.ts'
import type { AdminKeyStore, MeteringStore } from '../store.ts'
import { createUserWriter, type UserWriter } from '../users-write.ts'
import { integer } from './columns.ts'
import { createKysely } from './dialect.ts'
import { createSqliteLedger } from './ledger.ts'

/**
 * The one connection that writes. SQLite has a single writer at a time; giving all writing to one owner, who
 * does one thing after the other, means that nobody ever waits for a lock.
 */
export interface WriterSettings {
  readonly path: string
  readonly masterKey: Uint8Array
  readonly policy: PolicySettings
  /** Names this process in the entries that it opens. */
  readonly instance: string
}

/** What the writer does for others, by name. */
export interface WriterWork extends UserWriter, Pick<AdminKeyStore, 'insertAdminKey'>, MeteringStore {
  readonly close: () => Promise<void>
}

const abandonedAtOnce = 500

/** Opens and migrates the database. Throws where that cannot be done; the message says why. */
export async function openWriter(settings: WriterSettings): Promise<WriterWork> {
  const db = new DatabaseSync(settings.path)
  // FULL syncs every commit: what was answered is on the disk. With batches that costs next to nothing. The
  // checkpoint is rarer than by default, because it stops the writer and what it copies is mostly hot pages.
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 10000')
  db.exec('pragma wal_autocheckpoint = 20000; pragma cache_size = -65536; pragma temp_store = memory')
  await migrateSqlite(db)
  const vault = createVault(settings.masterKey)
  holdMasterKey(db, vault.fingerprint)
  const policy = createPolicy(settings.policy)
  const kysely = createKysely(db)
  const users = createUserWriter(kysely, vault, policy, settings.instance)
  const ledger = createSqliteLedger(db, vault, policy, settings.instance)
  return {
    ...users,
    writeUsers(writes, now) {
      ledger.forgetAddresses()
      return users.writeUsers(writes, now)
    },
    insertAdminKey: createAdminKeyTable(kysely, vault).insertAdminKey,
    runBatch: async (batch) => ledger.runBatch(batch),
    async abandonEntries(now) {
      let count = 0
      for (;;) {
        const ids = ledger.openEntryIds(abandonedAtOnce)
        if (ids.length === 0) return count
        const settlements = ids.map((requestId) => ({
          requestId,
          ending: 'abandoned' as const,
          usage: noUsage,
          isEstimated: true,
          status: 0,
          durationMs: 0,
        }))
        ledger.runBatch({ now, settlements, asks: [] })
        count += ids.length
      }
    },
    close: async () => db.close(),
  }
}

async function migrateSqlite(db: DatabaseSync): Promise<void> {
  await migrate(
    {
      async exclusively(work) {
        db.exec('begin immediate')
        try {
          await work()
          db.exec('commit')
        } catch (error) {
          if (db.isTransaction) db.exec('rollback')
          throw error
        }
      },
      run: async (statement) => db.exec(statement),
      applied: async () =>
        db
          .prepare('select number from migrations')
          .all()
          .map((row) => integer(row.number)),
      claim: async (step, now) => {
        db.prepare('insert into migrations (number, name, applied_at) values (?, ?, ?)').run(
          step.number,
          step.name,
          now,
        )
      },
    },
    Date.now(),
  )
}

/** The database belongs to one master key: with another one every user would be unknown, and nobody would see why. */
function holdMasterKey(db: DatabaseSync, fingerprint: string): void {
  db.prepare("insert into facts (name, value) values ('master_key', ?) on conflict do nothing").run(
    fingerprint,
  )
  const row = db.prepare("select value from facts where name = 'master_key'").get()
  if (row?.value !== fingerprint) {
    throw new Error(
      'MASTER_KEY is not the one this database was made with: restore it, nothing can be read without it',
    )
  }
}
