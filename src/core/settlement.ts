import type { Usage } from './usage.ts'
import type { UsageExtras } from './usage-extras.ts'

/** What was known of a request when it was admitted: enough to book it where its entry was lost. */
export interface Opened {
  readonly userId: string
  readonly route: string
  readonly family: string
  readonly model: string
  readonly isMetered: boolean
  readonly inputEstimate: number
  readonly startedAt: number
}

/** What a request used of a model of another family than its own. */
export interface UsageBeside {
  readonly family: string
  readonly model: string
  readonly usage: Usage
}

/** More are not told apart for one request. */
export const besideMax = 8

/** How a request ended; closes its entry. */
export interface Settlement {
  readonly requestId: string
  /** `released` charges nothing; `abandoned` charges what the process that died had estimated. */
  readonly ending: 'settled' | 'released' | 'abandoned'
  readonly usage: Usage
  /** What is counted to other families, beside `usage`: each becomes an entry of its own, in the same transaction. */
  readonly beside?: readonly UsageBeside[]
  /** What the provider states beside it and prices apart. */
  readonly extras?: UsageExtras
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** HTTP status that the client got; 0 where it was gone before one was sent. */
  readonly status: number
  readonly errorCode?: string
  readonly upstream?: string
  readonly durationMs: number
  readonly firstByteMs?: number
  /**
   * Whose entry it is, where this process opened it. A settlement that says so is booked also where its entry is gone:
   * the database has lost its latest transactions.
   */
  readonly opened?: Opened
}

/**
 * `closed` now, `corrected` where the entry had been abandoned and its estimate now gives way to what was really
 * used, `repeated` where it was closed before, `unknown` where it was never opened, as far as anything says so.
 */
export type SettlementOutcome = 'closed' | 'corrected' | 'repeated' | 'unknown'
