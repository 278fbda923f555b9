import { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import type { UserStore } from '../store.ts'
import { createUserReader } from '../users-read.ts'
import { integer } from './columns.ts'
import { createKysely } from './dialect.ts'
import type { WriterSettings } from './writer.ts'

/** What takes long and nobody's request waits for: long lists, searches, checkpoints. In a thread of its own. */
export interface BackgroundWork extends Pick<UserStore, 'listUsers' | 'countUsers'> {
  /** Moves what the log holds into the database; a whole one waits until nobody reads the log, and restarts it. */
  readonly checkpoint: (isWhole: boolean) => Promise<CheckpointResult>
  readonly close: () => Promise<void>
}

interface CheckpointResult {
  /** Pages that the log still holds beyond what was moved. */
  readonly pagesLeft: number
}

/** Opens a connection to a database that is there and up to date. */
export async function openBackground(settings: WriterSettings): Promise<BackgroundWork> {
  const db = new DatabaseSync(settings.path)
  db.exec('pragma synchronous = full; pragma busy_timeout = 10000; pragma wal_autocheckpoint = 0')
  const users = createUserReader(
    createKysely(db),
    createVault(settings.masterKey),
    createPolicy(settings.policy),
  )
  return {
    listUsers: users.listUsers,
    countUsers: users.countUsers,
    async checkpoint(isWhole) {
      const row = db.prepare(`pragma wal_checkpoint(${isWhole ? 'restart' : 'passive'})`).get()
      return { pagesLeft: Math.max(0, integer(row?.log) - integer(row?.checkpointed)) }
    },
    close: async () => db.close(),
  }
}
