import type { DatabaseSync } from 'node:sqlite'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import type { Lane } from '#lib/lane.ts'
import type { Stopper } from '#lib/stopper.ts'
import { type MeteringBatch, type MeteringStore, StoreUnavailable } from '../store.ts'
import type { BackgroundWork } from './background.ts'
import { openDisk } from './disk.ts'
import { createSqliteLedger } from './ledger.ts'
import type { Thread } from './thread.ts'
import type { WriterSettings } from './writer.ts'

/**
 * Batches of admissions and settlements, each one transaction on this thread: tens of microseconds of work, while
 * everything that waits for the disk (the sync, the checkpoint) happens elsewhere.
 */
export interface SqliteMetering extends Pick<MeteringStore, 'runBatch'> {
  readonly forgetAddresses: () => void
}

/** Entries that were opened or closed between two checkpoints; each dirties a page or two of the log. */
const changesPerCheckpoint = 20_000
/** Passive checkpoints cannot restart the log under steady load; beyond this one holds the writers up to do so. */
const pagesLeftMax = 50_000

export function openMetering(
  db: DatabaseSync,
  settings: WriterSettings,
  parts: {
    readonly background: Thread<BackgroundWork>
    readonly lane: Lane
    readonly stopper: Stopper
  },
): SqliteMetering {
  const { background, lane, stopper } = parts
  const vault = createVault(settings.masterKey)
  const ledger = createSqliteLedger(db, vault, createPolicy(settings.policy), settings.instance)
  const disk = openDisk(`${settings.path}-wal`)
  stopper.add(disk.close)
  let changes = 0
  let checkpoint: Promise<void> | undefined
  stopper.add(() => checkpoint)

  async function runCheckpoint(): Promise<void> {
    const { pagesLeft } = await background.run('checkpoint', false)
    if (pagesLeft > pagesLeftMax) await lane.run(() => background.run('checkpoint', true))
  }

  /** Only an answer waits for the disk, and only for its admission; what is settled may go there a little later. */
  function durableOf(batch: MeteringBatch): Promise<void> {
    if (batch.asks.length > 0) return disk.sync()
    disk.syncSoon()
    return Promise.resolve()
  }

  return {
    forgetAddresses: ledger.forgetAddresses,
    runBatch: (batch) =>
      lane.run(async () => {
        try {
          const decisions = ledger.runBatch(batch)
          changes += batch.asks.length + batch.settlements.length
          if (changes >= changesPerCheckpoint && !checkpoint) {
            changes = 0
            checkpoint = runCheckpoint()
              .catch(() => undefined)
              .finally(() => {
                checkpoint = undefined
              })
          }
          return { ...decisions, durable: durableOf(batch) }
        } catch (error) {
          throw new StoreUnavailable(error)
        }
      }),
  }
}
