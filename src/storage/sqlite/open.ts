import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createStopper, type Stopper } from '#lib/stopper.ts'
import { createAdminKeyTable } from '#storage/admin-keys/table.ts'
import { createOwners } from '#storage/ledger/owners.ts'
import { type ArgsOf, openThread, type ValueOf } from '#storage/sqlite/threads/thread.ts'
import type { WriterSettings, WriterWork } from '#storage/sqlite/threads/writer.ts'
import { createUpkeep } from '#storage/upkeep/sweep.ts'
import { untilNone } from '#storage/upkeep/until-none.ts'
import { createCorrectionTable } from '#storage/usage/corrections.ts'
import { createUserReader } from '#storage/users/read.ts'
import { explained } from '../fault.ts'
import type { Store } from '../store.ts'
import { createKysely } from './dialect.ts'
import { type Disk, openDisk } from './disk.ts'
import { failureOf } from './failure.ts'
import { holdFile } from './hold.ts'
import { createLogBytes, fileBytes, keepLog } from './log.ts'
import { openMetering } from './metering.ts'

/**
 * SQLite as the store of one process. Metering writes on this thread, in batches of microseconds that are synced to
 * disk elsewhere. The control plane writes in a thread of its own. A lane gives the two their turns, so that neither
 * waits for a database lock and the event loop is never blocked. In WAL mode readers and writers do not wait for each
 * other: single rows are read on a connection here, long reads in a background thread.
 */
export async function openSqliteStore(settings: WriterSettings): Promise<Store> {
  const stopper = createStopper()
  try {
    mkdirSync(dirname(settings.path), { recursive: true, mode: 0o700 })
    // Created first, so that only its owner can read it; SQLite gives the files beside it the same mode.
    closeSync(openSync(settings.path, 'a', 0o600))
    stopper.add(holdFile(`${settings.path}.lock`))
    // Opened before every connection and so closed after them: closing a file drops all locks that the process holds
    // on it.
    const databaseDisk = openDisk(settings.path)
    stopper.add(databaseDisk.close)
    return await open(settings, stopper, databaseDisk)
  } catch (error) {
    await stopper.stop().catch(() => undefined)
    throw explained(error, dirname(settings.path))
  }
}

async function open(settings: WriterSettings, stopper: Stopper, databaseDisk: Disk): Promise<Store> {
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
  const corrections = createCorrectionTable(kysely)
  const owners = createOwners(kysely, settings.instance)
  const logDisk = openDisk(`${settings.path}-wal`)
  stopper.add(logDisk.close)
  const own = openConnection(settings.path, stopper, {})
  const { lane, close } = keepLog({
    writer,
    background,
    logBytes: createLogBytes(own),
    logDisk,
    databaseDisk,
  })
  const metering = openMetering(own, settings, lane, logDisk)
  stopper.add(close)
  const write = <Name extends keyof WriterWork>(
    name: Name,
    ...args: ArgsOf<WriterWork[Name]>
  ): Promise<ValueOf<WriterWork[Name]>> => lane.run(() => writer.run(name, ...args))
  const upkeep = createUpkeep(
    {
      findOldMinutes: (before, after) => background.run('findOldMinutes', before, after),
      findExpiredUsers: (before, after) => background.run('findExpiredUsers', before, after),
      findOldAddresses: (now, after) => background.run('findOldAddresses', now, after),
    },
    {
      gatherMinutes: (hours) => write('gatherMinutes', hours),
      gatherRequests: (before, limit) => write('gatherRequests', before, limit),
      removeMinutes: (before, limit) => write('removeMinutes', before, limit),
      removeEntries: (before, limit) => write('removeEntries', before, limit),
      removeEvents: (before, limit) => write('removeEvents', before, limit),
      removeCorrections: (before, limit) => write('removeCorrections', before, limit),
      removeUsers: (users) =>
        lane.run(() => writer.run('removeUsers', users).finally(metering.forgetAddresses)),
      removeAddresses: (addresses) =>
        lane.run(() => writer.run('removeAddresses', addresses).finally(metering.forgetAddresses)),
    },
  )
  return {
    users: {
      findUser: (ref, now) => fenced(() => users.findUser(ref, now)),
      findBlocks: (ids) => fenced(() => users.findBlocks(ids)),
      listUsers: (request) => background.run('listUsers', request),
      countUsers: (filter, now) => background.run('countUsers', filter, now),
      knowsAccessToken: (accessToken) => fenced(() => users.knowsAccessToken(accessToken)),
      insertUser: (edit, now, idempotencyKey) => write('insertUser', edit, now, idempotencyKey),
      // Cleared within the same turn of the lane: the next batch then writes a removed address again when a request
      // comes from it.
      writeUsers: (writes, now) =>
        lane.run(() => writer.run('writeUsers', writes, now).finally(metering.forgetAddresses)),
      addToQuota: (ref, addition, now, idempotencyKey) =>
        write('addToQuota', ref, addition, now, idempotencyKey),
      async resetUsage(request, now) {
        const { ids, ...more } = await background.run('findUsedUsers', request)
        const users = ids.length === 0 ? 0 : await write('resetUsers', ids, request.families, now)
        return { users, ...more }
      },
      async disableUser(ref, reason, now) {
        const id = await write('disableUser', ref, reason, now)
        return id === undefined ? undefined : fenced(() => users.findKnown(id, now))
      },
    },
    adminKeys: {
      findAdminKey: (secret, now) => fenced(() => adminKeys.findAdminKey(secret, now)),
      countAdminKeys: () => fenced(() => adminKeys.countAdminKeys()),
      insertAdminKey: (key, now) => write('insertAdminKey', key, now),
      listAdminKeys: () => fenced(() => adminKeys.listAdminKeys()),
      deleteAdminKey: (id, now, options) => write('deleteAdminKey', id, now, options),
    },
    metering: {
      runBatch: metering.runBatch,
      listModels: metering.listModels,
      beat: (now) => write('beat', now),
      openEntries: () => fenced(() => owners.openEntries()),
      history: () => Promise.resolve(undefined),
      renewLease: (requestId, leaseUntil) => write('renewLease', requestId, leaseUntil),
      async abandonEntries(now, silentMs, onFault) {
        const count = await untilNone(() => write('abandonSome', now, silentMs))
        for (const { id, error } of await write('takeFaults')) onFault?.(id, error)
        return count
      },
    },
    upkeep,
    corrections: {
      readCorrections: (since) => fenced(() => corrections.readCorrections(since)),
      writeCorrections: (rows, now) => write('writeCorrections', rows, now),
    },
    // SQLite has a single process.
    watchUsers: () => () => undefined,
    signals: { tell: () => undefined, hear: () => () => undefined },
    keyFor: vault.keyFor,
    agreeOnTime: (clock) => clock,
    usage: { readUsage: (question) => background.run('readUsage', question) },
    requests: {
      findRequest: (id) => background.run('findRequest', id),
      listRequests: (question) => background.run('listRequests', question),
    },
    notes: () => [],
    check: metering.check,
    close: stopper.stop,
  }
}

function openConnection(path: string, stopper: Stopper, options: DatabaseSyncOptions): DatabaseSync {
  const db = new DatabaseSync(path, options)
  stopper.add(() => db.close())
  // NORMAL leaves syncing the log to `Disk`; checkpoints are the writer thread's.
  // A commit that split a page looks through all that is cached, so that a large cache costs more than it saves.
  db.exec('pragma synchronous = normal; pragma busy_timeout = 0; pragma cache_size = -16384')
  db.exec('pragma wal_autocheckpoint = 0; pragma temp_store = memory')
  if (!options.readOnly) db.exec(`pragma journal_size_limit = ${fileBytes}`)
  return db
}

async function fenced<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw failureOf(error)
  }
}
