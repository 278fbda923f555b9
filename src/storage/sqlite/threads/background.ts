import { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createEntryReader } from '#storage/ledger/read.ts'
import { integer } from '#storage/schema/columns.ts'
import { createKysely } from '#storage/sqlite/dialect.ts'
import type { RequestStore, UsageReset, UsageStore, UserStore } from '#storage/store.ts'
import { createUpkeepFinder, type UpkeepFinder } from '#storage/upkeep/find.ts'
import { createUsageReader } from '#storage/usage/read.ts'
import { createUserReader } from '#storage/users/read.ts'
import { findUsedUsers, type UsedUsers } from '#storage/users/reset-usage.ts'
import type { WriterSettings } from './writer.ts'

/**
 * Long work that no request waits for: long lists, searches, reports, checkpoints. It runs in a thread of its own.
 */
export interface BackgroundWork
  extends Pick<UserStore, 'listUsers' | 'countUsers'>,
    UsageStore,
    RequestStore,
    UpkeepFinder {
  readonly findUsedUsers: (request: UsageReset) => Promise<UsedUsers>
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
export async function openBackground(settings: WriterSettings): Promise<BackgroundWork> {
  const db = new DatabaseSync(settings.path)
  db.exec('pragma synchronous = full; pragma busy_timeout = 10000; pragma wal_autocheckpoint = 0')
  const kysely = createKysely(db)
  const policy = createPolicy(settings.policy)
  const users = createUserReader(kysely, createVault(settings.masterKey), policy)
  return {
    ...createUsageReader(kysely, policy),
    ...createEntryReader(kysely),
    ...createUpkeepFinder(kysely, policy),
    listUsers: users.listUsers,
    countUsers: users.countUsers,
    findUsedUsers: (request) => findUsedUsers(kysely, request),
    async checkpoint() {
      const row = db.prepare('pragma wal_checkpoint(passive)').get()
      return { pages: integer(row?.log), moved: integer(row?.checkpointed) }
    },
    close: async () => db.close(),
  }
}
