import type { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import type { Lane } from '#lib/lane.ts'
import type { Stopper } from '#lib/stopper.ts'
import type { MeteringBatch, MeteringStore } from '../store.ts'
import type { BackgroundWork } from './background.ts'
import { type Disk, openDisk } from './disk.ts'
import { failureOf } from './failure.ts'
import { createSqliteLedger } from './ledger.ts'
import type { Thread } from './thread.ts'
import type { WriterSettings, WriterWork } from './writer.ts'

/**
 * Batches of admissions and settlements, each one transaction on this thread: tens of microseconds of work, while
 * everything that waits for the disk (the sync, the checkpoint) happens elsewhere.
 */
export interface SqliteMetering extends Pick<MeteringStore, 'runBatch'> {
  readonly forgetAddresses: () => void
  /** Says that others wrote so many rows: what stands in the log has to be moved, whoever wrote it. */
  readonly wrote: (rows: number) => void
}

/** Rows that were written between two checkpoints; each dirties a page or two of the log. */
const changesPerCheckpoint = 20_000
/**
 * Checkpoints that hold nobody up never come to the log's end under steady load, and it grows by a hundred megabytes
 * a second. Beyond so many pages the writers are held up until it begins anew.
 */
const logPagesMax = 50_000

export function openMetering(
  db: DatabaseSync,
  settings: WriterSettings,
  parts: {
    readonly writer: Thread<WriterWork>
    readonly background: Thread<BackgroundWork>
    readonly lane: Lane
    readonly stopper: Stopper
    /** Of the database's own file. */
    readonly databaseDisk: Disk
  },
): SqliteMetering {
  const { writer, background, lane, stopper, databaseDisk } = parts
  const vault = createVault(settings.masterKey)
  const ledger = createSqliteLedger(db, vault, createPolicy(settings.policy), settings.instance)
  const disk = openDisk(`${settings.path}-wal`)
  stopper.add(disk.close)
  let changes = 0
  let checkpoint: Promise<void> | undefined
  stopper.add(() => checkpoint)

  async function runCheckpoint(): Promise<void> {
    const { logPages } = await background.run('checkpoint')
    if (logPages <= logPagesMax) return
    // One that does not come to the log's end syncs nothing, and the one that does would wait for all of it.
    await databaseDisk.sync()
    // What came while that was moved: the less is left, the shorter everybody waits.
    await background.run('checkpoint')
    await databaseDisk.sync()
    await lane.run(() => writer.run('restartLog'))
  }

  function wrote(rows: number): void {
    changes += rows
    if (changes < changesPerCheckpoint || checkpoint) return
    changes = 0
    checkpoint = runCheckpoint()
      .catch(() => undefined)
      .finally(() => {
        checkpoint = undefined
      })
  }

  /** Only an answer waits for the disk, and only for its admission; what is settled may go there a little later. */
  function durableOf(batch: MeteringBatch): Promise<void> {
    if (batch.asks.length > 0) return disk.sync()
    disk.syncSoon()
    return Promise.resolve()
  }

  return {
    forgetAddresses: ledger.forgetAddresses,
    wrote,
    runBatch: (batch) =>
      lane.run(async () => {
        try {
          const decisions = ledger.runBatch(batch)
          wrote(batch.asks.length + batch.settlements.length)
          return { ...decisions, durable: durableOf(batch) }
        } catch (error) {
          throw failureOf(error)
        }
      }),
  }
}
