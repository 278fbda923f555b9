import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { StoreFault } from '#storage/store.ts'

/** An admission's answer, and when it is on the disk. */
export type Asked = AdmissionOutcome & { readonly durable: Promise<void> }

/** The account's front door: every relay is admitted here before it is sent and settled here when it ends. */
export interface Meter {
  /**
   * Decides and reserves. Rejects with `StoreUnavailable` when it cannot: callers answer 503; with `StoreFault` where
   * the store cannot read or write what belongs to this one request. The request may be
   * sent on at once, while the reservation is on its way to the disk; its answer may begin when that is `durable`.
   */
  readonly admit: (ask: AdmissionAsk) => Promise<Asked>
  /**
   * Closes an entry, once; a repeat changes nothing. Resolves when the settlement survives this process. Never
   * rejects: while the store is away the settlement is kept (in the journal, where there is one) and tried again, and
   * one that the store cannot book is set aside.
   */
  readonly settle: (settlement: Settlement) => Promise<SettlementOutcome | 'kept'>
  /**
   * Counts what was used elsewhere, once for each event; `kept` where the store cannot book this one. Rejects as
   * `admit` does.
   */
  readonly count: (event: UsageEvent) => Promise<UsageEventOutcome | 'kept'>
  /** Waits until everything that was handed in is booked, or at least in the journal. */
  readonly close: () => Promise<void>
}

/** One that remembers what it settled, for where the database does not. */
export interface RecoveringMeter extends Meter {
  /**
   * Ends open entries of this process that it is not running: by the settlement that it remembers, else by their
   * estimate. Answers how many there were. Harmless for those that were settled meanwhile.
   */
  readonly settleAgain: (openEntries: readonly string[]) => number
  /** Settles what was booked lately once more, where the database may have lost it; answers how many that is. */
  readonly settleLatelyAgain: () => number
}

/** Whether the account works, and only this one request cannot be booked. */
export function isOfOneRequest(error: unknown): boolean {
  return error instanceof StoreFault
}
