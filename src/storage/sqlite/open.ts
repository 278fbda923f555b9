import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { createStopper, type Stopper } from '#lib/stopper.ts'
import { openThread } from '#storage/sqlite/threads/thread.ts'
import type { WriterSettings } from '#storage/sqlite/threads/writer.ts'
import { untilNone } from '#storage/upkeep/until-none.ts'
import { explained } from '../fault.ts'
import { methodsOf } from '../methods.ts'
import type { Store } from '../store.ts'
import { createTables, storeOf } from '../store-tables.ts'
import { createKysely } from './dialect.ts'
import { type Disk, openDisk } from './disk.ts'
import { failureOf } from './failure.ts'
import { holdFile } from './hold.ts'
import { createLogBytes, fileBytes, keepLog } from './log.ts'
import { createSqliteRows } from './many-rows.ts'
import { openMetering } from './metering.ts'
import { createSharedWrites } from './shared-writes.ts'

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
  const vault = createVault(settings)
  const policy = createPolicy(settings.policy)
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
  const news = createNews()
  const metering = openMetering(own, settings, { lane, logDisk, onChanges: news.tell })
  stopper.add(close)
  // Addresses are forgotten within the same turn of the lane: the next batch then writes a removed one again when a
  // request comes from it.
  const write = createSharedWrites(lane, writer, metering.forgetAddresses)
  const tables = createTables({
    ...{ db: createKysely(reading), many: createSqliteRows(reading) },
    ...{ vault, policy, instance: settings.instance },
  })
  const methods = methodsOf(tables, ({ kind, name, run }) => {
    switch (kind) {
      case 'reads':
        return (...args) => fenced(() => run(...args))
      case 'long':
        return (...args) => background.call(name, args)
      case 'writes':
      case 'addressWrites':
        return (...args) => write({ name, args, isOfAddresses: kind === 'addressWrites' }).finally(news.tell)
    }
  })
  return {
    ...storeOf(methods),
    metering: {
      ...methods.owners,
      runBatch: metering.runBatch,
      listModels: metering.listModels,
      history: () => Promise.resolve(undefined),
      async abandonEntries(now, silentMs, onFault) {
        const count = await untilNone(() => lane.run(() => writer.run('abandonSome', now, silentMs)))
        for (const { id, error } of await lane.run(() => writer.run('takeFaults'))) onFault?.(id, error)
        return count
      },
    },
    watchChanges: news.hear,
    // SQLite has a single process.
    signals: { tell: () => undefined, hear: () => () => undefined },
    keyFor: vault.keyFor,
    about: { database: 'SQLite', masterKey: vault.version },
    agreeOnTime: (clock) => clock,
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

/** Tells those who hear of it, in this process, that something was written. */
function createNews() {
  const heard = new Set<() => void>()
  return {
    tell(): void {
      for (const onNews of heard) onNews()
    },
    hear(onNews: () => void): () => void {
      heard.add(onNews)
      return () => heard.delete(onNews)
    },
  }
}
