import type { AdmissionAsk, AdmissionOutcome, Settlement } from '#storage/store.ts'

/** The account's front door: every relay is admitted here before it is sent and settled here when it ends. */
export interface Meter {
  /** Decides and reserves, durably. Rejects with `StoreUnavailable` when it cannot: callers answer 503. */
  readonly admit: (ask: AdmissionAsk) => Promise<AdmissionOutcome>
  /**
   * Closes an entry, durably and once; a repeat changes nothing. Never rejects: while the store is away the
   * settlement is kept and tried again.
   */
  readonly settle: (settlement: Settlement) => Promise<void>
  /** Waits until everything that was handed in is durable. */
  readonly close: () => Promise<void>
}
