import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { StoreFault } from '#storage/store.ts'
import type { Journal } from './journal.ts'
import type { SetAside } from './set-aside.ts'

/** An admission's answer; `durable` resolves when it is on the disk. */
export type Asked = AdmissionOutcome & { readonly durable: Promise<void> }

/** The account's front door: every relay is admitted here before it is sent and settled here when it ends. */
export interface Ledger {
  /**
   * Decides and reserves. Rejects with `StoreUnavailable` if the store does not answer (callers answer 503), and with
   * `StoreFault` if the store cannot read or write what belongs to this one request. The request may be sent at once,
   * while the reservation is being written to the disk; its answer may begin when that is `durable`.
   */
  readonly admit: (ask: AdmissionAsk) => Promise<Asked>
  /**
   * Closes an entry, once; a repeat changes nothing. Resolves when the settlement survives this process. Never rejects:
   * while the store is unavailable the settlement is kept (in the journal, if there is one) and tried again. A settlement
   * that the store cannot book is set aside.
   */
  readonly settle: (settlement: Settlement) => Promise<SettlementOutcome | 'kept'>
  /**
   * Counts what was used elsewhere, once for each event; `kept` if the store cannot book this one. Rejects as `admit`
   * does.
   */
  readonly count: (event: UsageEvent) => Promise<UsageEventOutcome | 'kept'>
  /** Waits until all settlements are booked, or at least in the journal. */
  readonly close: () => Promise<void>
}

/** Remembers what it settled lately, for databases that may lose it. */
export interface RecoveringLedger extends Ledger {
  /**
   * Ends open entries of this process that it is not running: by the settlement that it remembers, else by their
   * estimate. Returns how many there were. Entries that were settled meanwhile stay as they are.
   */
  readonly settleAgain: (openEntries: readonly string[]) => number
  /** Books the latest settlements again, if the database may have lost them; returns how many there are. */
  readonly settleLatelyAgain: () => number
}

export interface LedgerOptions {
  /** The most questions in one batch; the rest go into the next one. */
  readonly batchMax?: number
  /** Called for each failed batch; its callers learn only that the store was unavailable. */
  readonly onFailure?: (error: unknown) => void
  /** Called for each question that the store cannot book although it works, with the request's id. */
  readonly onFault?: (requestId: string, error: StoreFault) => void
  /** Keeps settlements on this machine while the store is unavailable. */
  readonly journal?: Journal
  /** Keeps what the store cannot book. */
  readonly setAside?: SetAside
  /** Called for each user whom an admission has disabled. */
  readonly onDisabled?: (userId: string, reason: string) => void
  /**
   * The deadline of a question: after this time its caller gets `StoreUnavailable`, whether or not the store answers
   * later.
   */
  readonly deadlineMs?: number
}

/** Whether an error concerns one request only, which cannot be booked although the account works. */
export function isOfOneRequest(error: unknown): boolean {
  return error instanceof StoreFault
}
