import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'

export interface MeteringBatch {
  readonly now: number
  /** Applied first, so that the asks can use what they free. */
  readonly settlements: readonly Settlement[]
  readonly events?: readonly UsageEvent[]
  readonly asks: readonly AdmissionAsk[]
}

export interface MeteringAnswer {
  readonly settlements: readonly SettlementOutcome[]
  readonly events: readonly UsageEventOutcome[]
  readonly asks: readonly AdmissionOutcome[]
  /**
   * The decisions survive this process at once. When this resolves, the admissions are on disk and survive a power
   * loss. No byte may reach the client before that.
   */
  readonly durable: Promise<void>
}

/** Called with each entry that cannot be read or written. */
export type OnFault = (requestId: string, error: unknown) => void

export interface MeteringStore {
  /** How many batches may run at the same time; 1 by default. */
  readonly lanes?: number
  /** Whether a committed booking can be lost while this process lives on, for example by a failover to a standby. */
  readonly mayLoseBooked?: boolean
  /** Runs the whole batch in one transaction; the answers are in the order of the questions. */
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  /** The heartbeat of this process; a process without one for `silentMs` is taken for dead. */
  readonly beat: (now: number) => Promise<void>
  /**
   * Closes entries that no process will settle any more: those of processes whose heartbeat is older than `silentMs`,
   * and those with an expired lease. Never closes this process's own entries. An entry that cannot be closed stays as
   * it is and is reported to `onFault`. Answers how many were closed.
   */
  readonly abandonEntries: (now: number, silentMs: number, onFault?: OnFault) => Promise<number>
  /** Prolongs the lease of an open entry. */
  readonly renewLease: (requestId: string, leaseUntil: number) => Promise<'renewed' | 'closed' | 'unknown'>
}

/** How a process finds out whether the database has lost some of its entries. */
export interface OpenedEntries {
  /** The open entries of this process, without those held by a lease. */
  readonly openEntries: () => Promise<readonly string[]>
  /**
   * Identifies the database's history. It changes when a standby takes over, which may have lost the latest
   * transactions. Undefined where the database cannot fail over.
   */
  readonly history: () => Promise<string | undefined>
}
