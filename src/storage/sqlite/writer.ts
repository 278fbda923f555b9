import { DatabaseSync } from 'node:sqlite'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import { noUsage } from '#core/usage.ts'
import { createVault } from '#core/vault.ts'
import { createAdminKeyTable } from '../admin-keys.ts'
import { integer } from '../columns.ts'
import { migrate } from '../migrate.ts'
import { createOwners } from '../owners.ts'
import type { AdminKeyStore, MeteringStore } from '../store.ts'
import { createUpkeepWriter, type UpkeepWriter } from '../upkeep-write.ts'
import { createUserWriter, type UserWriter } from '../users-write.ts'
import { createKysely } from './dialect.ts'
import { createSqliteLedger } from './ledger.ts'

/**
 * What the control plane writes. It has a connection and a thread of its own, so that ten
 * thousand users in one transaction stop no stream; a lane on the other side sees to it that only one of the two
 * connections writes at a time, so that nobody ever waits for a lock.
 */
export interface WriterSettings {
  readonly path: string
  readonly masterKey: Uint8Array
  readonly policy: PolicySettings
  /** Names this process in the entries that it opens. */
  readonly instance: string
}

/** What the writer does for others, by name. */
export interface WriterWork
  extends UserWriter,
    UpkeepWriter,
    Pick<AdminKeyStore, 'insertAdminKey' | 'deleteAdminKey'>,
    Pick<MeteringStore, 'beat' | 'renewLease'> {
  /** Closes some of the entries that nobody will settle; 0 when there are no more. */
  readonly abandonSome: (now: number, silentMs: number) => Promise<number>
  /** Moves the rest of the log and begins it anew, unless somebody reads it for too long; while nobody writes. */
  readonly restartLog: () => Promise<void>
  readonly close: () => Promise<void>
}

const abandonedAtOnce = 500
const busyMs = 10_000
const restartMsMax = 50
const abandonment = {
  ending: 'abandoned',
  usage: noUsage,
  isEstimated: true,
  status: 0,
  durationMs: 0,
} as const

/** Opens and migrates the database. Throws where that cannot be done; the message says why. */
export async function openWriter(settings: WriterSettings): Promise<WriterWork> {
  const db = new DatabaseSync(settings.path)
  // FULL syncs every commit: what was answered is on the disk. Checkpoints are asked for, never automatic.
  db.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = ${busyMs}`)
  db.exec('pragma wal_autocheckpoint = 0; pragma cache_size = -32768; pragma temp_store = memory')
  await migrateSqlite(db)
  const vault = createVault(settings.masterKey)
  holdMasterKey(db, vault.fingerprint)
  const policy = createPolicy(settings.policy)
  const kysely = createKysely(db)
  const users = createUserWriter(kysely, vault, policy, settings.instance)
  const adminKeys = createAdminKeyTable(kysely, vault)
  const ledger = createSqliteLedger(db, vault, policy, settings.instance)
  const owners = createOwners(kysely, settings.instance)
  await owners.outliveAll(Date.now())
  return {
    ...users,
    ...createUpkeepWriter(kysely),
    beat: owners.beat,
    renewLease: owners.renewLease,
    insertAdminKey: adminKeys.insertAdminKey,
    deleteAdminKey: adminKeys.deleteAdminKey,
    async abandonSome(now, silentMs) {
      const ids = await owners.ownerless(now, silentMs, abandonedAtOnce)
      const settlements = ids.map((requestId) => ({ ...abandonment, requestId }))
      if (ids.length > 0) ledger.runBatch({ now, settlements, asks: [] })
      else await owners.forgetDead(now, silentMs)
      return ids.length
    },
    async restartLog() {
      // Everybody who writes is waiting.
      db.exec(
        `pragma busy_timeout = ${restartMsMax}; pragma wal_checkpoint(restart); pragma busy_timeout = ${busyMs}`,
      )
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
      // Rows in their key's own tree: half the pages that a request writes.
      run: async (statement) => db.exec(statement.replace('/* clustered */', 'without rowid')),
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
