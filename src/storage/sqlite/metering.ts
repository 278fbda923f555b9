import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import type { Lane } from '#lib/lane.ts'
import type { WriterSettings } from '#storage/sqlite/threads/writer.ts'
import type { MeteringBatch, MeteringStore } from '#storage/store/metering.ts'
import { faultOf, locked } from '../fault.ts'
import type { Disk } from './disk.ts'
import { failureOf } from './failure.ts'
import { createSqliteLedger, type SqliteLedger } from './ledger.ts'

/**
 * Batches of admissions and settlements, each one transaction on this thread: tens of microseconds of work.
 * Everything that waits for the disk (sync, checkpoint) happens elsewhere.
 */
export interface SqliteMetering extends Pick<MeteringStore, 'runBatch'> {
  /** Rejects where a batch could not begin, or could not be synced to disk. */
  readonly check: () => Promise<void>
  readonly forgetAddresses: () => void
  readonly listModels: SqliteLedger['listModels']
}

interface MeteringParts {
  readonly lane: Lane
  readonly logDisk: Disk
  /** Called when a batch has written changes. */
  readonly onChanges: () => void
}

/** How long a batch waits for another process's lock, and how often it tries. */
const lockedMs = 2_000
const lockLookMs = 5

export function openMetering(
  db: DatabaseSync,
  settings: WriterSettings,
  { lane, logDisk, onChanges }: MeteringParts,
): SqliteMetering {
  const vault = createVault(settings)
  const ledger = createSqliteLedger(db, vault, createPolicy(settings.policy), {
    instance: settings.instance,
    onChanges,
  })

  /** A backup or a shell may hold the lock for a moment. The batch waits for it, without blocking this thread. */
  async function whenFree<T>(work: () => T): Promise<T> {
    const until = performance.now() + lockedMs
    for (;;) {
      try {
        return work()
      } catch (error) {
        if (faultOf(error) !== locked || performance.now() > until) throw error
      }
      await wait(lockLookMs)
    }
  }

  /** Only an admission's answer waits for the disk; settlements may be synced a little later. */
  function durableOf(batch: MeteringBatch): Promise<void> {
    if (batch.asks.length > 0) return logDisk.sync()
    logDisk.syncSoon()
    return Promise.resolve()
  }

  return {
    forgetAddresses: ledger.forgetAddresses,
    listModels: ledger.listModels,
    check: () =>
      lane.run(async () => {
        try {
          await whenFree(() => db.exec('begin immediate; commit'))
          await logDisk.sync()
        } catch (error) {
          throw failureOf(error)
        }
      }),
    runBatch: (batch) =>
      lane.run(async () => {
        try {
          const decisions = await whenFree(() => ledger.runBatch(batch))
          return { ...decisions, durable: durableOf(batch) }
        } catch (error) {
          throw failureOf(error)
        }
      }),
  }
}
