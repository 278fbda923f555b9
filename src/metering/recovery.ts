import type { OpenedEntries } from '#storage/store.ts'
import type { RecoveringMeter } from './meter.ts'

interface RecoveryLog {
  readonly warn: (details: Readonly<Record<string, unknown>>, message: string) => void
}

/**
 * Puts the account right after the database has lost its latest transactions, as it may when a standby takes over:
 * entries of this process that are open again are settled again, and where the database says itself that it is in
 * another history, everything that was booked lately is booked once more. A settlement closes its entry once, so that
 * this does no harm to what is there.
 */
export function createRecovery(
  store: OpenedEntries,
  meter: Pick<RecoveringMeter, 'settleAgain' | 'settleLatelyAgain'>,
  log: RecoveryLog,
): () => Promise<void> {
  let known: string | undefined
  return async () => {
    // A database that does not tell its history is taken to have the known one.
    const history = await store.history().catch(() => known)
    if (known !== undefined && history !== known) {
      const settlements = meter.settleLatelyAgain()
      log.warn(
        { settlements },
        'another database server has taken over: what was booked lately is booked again',
      )
    }
    known = history
    const entries = meter.settleAgain(await store.openEntries())
    if (entries > 0) log.warn({ entries }, 'settled requests again that the database had open')
  }
}
