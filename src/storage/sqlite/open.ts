import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createAdminKeyTable } from '../admin-keys.ts'
import { type Store, StoreUnavailable } from '../store.ts'
import { createUserReader } from '../users-read.ts'
import { createKysely } from './dialect.ts'
import { holdFile } from './hold.ts'
import { openWriterThread } from './thread.ts'
import type { WriterSettings } from './writer.ts'

/**
 * SQLite as the store of one process: one thread writes, and reading has a connection of its own here, which
 * in WAL mode neither waits for the writer nor makes it wait.
 */
export async function openSqliteStore(settings: WriterSettings): Promise<Store> {
  mkdirSync(dirname(settings.path), { recursive: true, mode: 0o700 })
  const release = holdFile(`${settings.path}.lock`)
  try {
    return await open(settings, release)
  } catch (error) {
    release()
    throw error
  }
}

async function open(settings: WriterSettings, release: () => void): Promise<Store> {
  const thread = await openWriterThread(settings)
  const db = new DatabaseSync(settings.path, { readOnly: true })
  db.exec('pragma busy_timeout = 1000; pragma cache_size = -32768')
  const kysely = createKysely(db)
  const vault = createVault(settings.masterKey)
  const users = createUserReader(kysely, vault, createPolicy(settings.policy))
  const adminKeys = createAdminKeyTable(kysely, vault)
  return {
    users: {
      findUser: (ref, now) => reading(() => users.findUser(ref, now)),
      listUsers: (request) => reading(() => users.listUsers(request)),
      countUsers: (filter, now) => reading(() => users.countUsers(filter, now)),
      knowsAccessToken: (accessToken) => reading(() => users.knowsAccessToken(accessToken)),
      insertUser: (edit, now, repeat) => thread.run('insertUser', edit, now, repeat),
      writeUsers: (writes, now) => thread.run('writeUsers', writes, now),
      async disableUser(ref, reason, now) {
        const id = await thread.run('disableUser', ref, reason, now)
        return id === undefined ? undefined : reading(() => users.findUser({ id }, now))
      },
    },
    adminKeys: {
      findAdminKey: (secret, now) => reading(() => adminKeys.findAdminKey(secret, now)),
      countAdminKeys: () => reading(() => adminKeys.countAdminKeys()),
      insertAdminKey: (name, secret, now) => thread.run('insertAdminKey', name, secret, now),
    },
    metering: {
      runBatch: (batch) => thread.run('runBatch', batch),
      abandonEntries: (now) => thread.run('abandonEntries', now),
    },
    ping: () =>
      reading(() => adminKeys.countAdminKeys()).then(
        () => true,
        () => false,
      ),
    async close() {
      await thread.close()
      db.close()
      release()
    },
  }
}

async function reading<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new StoreUnavailable(error)
  }
}
