import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createLane } from '#lib/lane.ts'
import { createStopper, type Stopper } from '#lib/stopper.ts'
import { createAdminKeyTable } from '../admin-keys.ts'
import { type Store, StoreUnavailable } from '../store.ts'
import { createUserReader } from '../users-read.ts'
import { createKysely } from './dialect.ts'
import { holdFile } from './hold.ts'
import { openMetering } from './metering.ts'
import { type ArgsOf, openThread, type ValueOf } from './thread.ts'
import type { WriterSettings, WriterWork } from './writer.ts'

/**
 * SQLite as the store of one process. Metering writes here, in batches of microseconds that are synced to the
 * disk off this thread; the control plane writes in a thread of its own, and a lane gives the two their turns, so
 * that nobody waits for a lock and the event loop never waits at all. Reading, which in WAL mode neither waits for
 * a writer nor makes one wait, has a connection here for single rows, and for what may take long a thread.
 */
export async function openSqliteStore(settings: WriterSettings): Promise<Store> {
  mkdirSync(dirname(settings.path), { recursive: true, mode: 0o700 })
  // Made here, and so only for its owner; SQLite gives the files beside it the same mode.
  closeSync(openSync(settings.path, 'a', 0o600))
  const stopper = createStopper()
  stopper.add(holdFile(`${settings.path}.lock`))
  try {
    return await open(settings, stopper)
  } catch (error) {
    await stopper.stop()
    throw error
  }
}

async function open(settings: WriterSettings, stopper: Stopper): Promise<Store> {
  const writer = await openThread('writer', settings)
  stopper.add(writer.close)
  const background = await openThread('background', settings)
  stopper.add(background.close)
  const reading = openConnection(settings.path, stopper, { readOnly: true })
  const vault = createVault(settings.masterKey)
  const policy = createPolicy(settings.policy)
  const kysely = createKysely(reading)
  const users = createUserReader(kysely, vault, policy)
  const adminKeys = createAdminKeyTable(kysely, vault)
  const lane = createLane()
  const metering = openMetering(openConnection(settings.path, stopper, {}), settings, {
    background,
    lane,
    stopper,
  })
  const write = <Name extends keyof WriterWork>(
    name: Name,
    ...args: ArgsOf<WriterWork[Name]>
  ): Promise<ValueOf<WriterWork[Name]>> => lane.run(() => writer.run(name, ...args))
  return {
    users: {
      findUser: (ref, now) => fenced(() => users.findUser(ref, now)),
      listUsers: (request) => background.run('listUsers', request),
      countUsers: (filter, now) => background.run('countUsers', filter, now),
      knowsAccessToken: (accessToken) => fenced(() => users.knowsAccessToken(accessToken)),
      insertUser: (edit, now, repeat) => write('insertUser', edit, now, repeat),
      writeUsers(writes, now) {
        metering.forgetAddresses()
        return write('writeUsers', writes, now)
      },
      async disableUser(ref, reason, now) {
        const id = await write('disableUser', ref, reason, now)
        return id === undefined ? undefined : fenced(() => users.findUser({ id }, now))
      },
    },
    adminKeys: {
      findAdminKey: (secret, now) => fenced(() => adminKeys.findAdminKey(secret, now)),
      countAdminKeys: () => fenced(() => adminKeys.countAdminKeys()),
      insertAdminKey: (name, secret, now) => write('insertAdminKey', name, secret, now),
    },
    metering: {
      runBatch: metering.runBatch,
      abandonEntries: (now) => write('abandonEntries', now),
    },
    ping: () =>
      fenced(() => adminKeys.countAdminKeys()).then(
        () => true,
        () => false,
      ),
    close: stopper.stop,
  }
}

function openConnection(path: string, stopper: Stopper, options: DatabaseSyncOptions): DatabaseSync {
  const db = new DatabaseSync(path, options)
  stopper.add(() => db.close())
  // NORMAL leaves syncing the log to `Disk`; checkpoints are the writer thread's.
  db.exec('pragma synchronous = normal; pragma busy_timeout = 1000; pragma cache_size = -65536')
  db.exec('pragma wal_autocheckpoint = 0; pragma temp_store = memory')
  return db
}

async function fenced<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new StoreUnavailable(error)
  }
}
