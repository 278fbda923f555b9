import type { OpenedEntries } from '#storage/store/metering.ts'
import type { RecoveringLedger } from './ledger.ts'

interface RecoveryLog {
  readonly warn: (details: Readonly<Record<string, unknown>>, message: string) => void
}

/**
 * Corrects the account after the database has lost its latest transactions, as it may when a standby takes over. Entries
 * of this process that are open again are settled again. If the database reports another history, all that was booked
 * lately is booked again. A settlement closes its entry once, so entries that were not lost stay as they are.
 */
export function createRecovery(
  store: OpenedEntries,
  ledger: Pick<RecoveringLedger, 'settleAgain' | 'settleLatelyAgain'>,
  log: RecoveryLog,
): () => Promise<void> {
  let known: string | undefined
  return async () => {
    // If the database does not tell its history, it is taken to be the known one.
    const history = await store.history().catch(() => known)
    if (known !== undefined && history !== known) {
      const settlements = ledger.settleLatelyAgain()
      log.warn(
        { settlements },
        'another database server has taken over: what was booked lately is booked again',
      )
    }
    known = history
    const entries = ledger.settleAgain(await store.openEntries())
    if (entries > 0) log.warn({ entries }, 'settled requests again that the database had open')
  }
}
