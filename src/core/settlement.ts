import { noUsage, type Usage } from './usage.ts'
import type { UsageExtras } from './usage-extras.ts'

/** The facts of a request at its admission: enough to book it where its entry was lost. */
export interface Opened {
  readonly userId: string
  /** The front end that the person asked through. */
  readonly frontEndId?: string
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
  /** `released` charges nothing; `abandoned` charges the estimate of the process that died. */
  readonly ending: 'settled' | 'released' | 'abandoned'
  readonly usage: Usage
  /**
   * The usage that counts to other families, beside `usage`: each becomes an entry of its own, in the same transaction.
   */
  readonly beside?: readonly UsageBeside[]
  /** Further figures of the provider that are priced apart. */
  readonly extras?: UsageExtras
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** HTTP status that the client got; 0 where it hung up before. */
  readonly status: number
  readonly errorCode?: string
  readonly upstream?: string
  readonly durationMs: number
  readonly firstByteMs?: number
  /**
   * The facts of the admission, where this process opened the entry. With them a settlement can be booked although its
   * entry is missing, because the database has lost its latest transactions.
   */
  readonly opened?: Opened
}

/**
 * `closed` now, `corrected` where the entry had been abandoned and the real usage replaces its estimate, `repeated`
 * where it was closed before, `unknown` where no such entry is known.
 */
export type SettlementOutcome = 'closed' | 'corrected' | 'repeated' | 'unknown'

/** The settlement of an entry of which nothing more is known: it is charged the estimate that it began with. */
export function abandonment(requestId: string): Settlement {
  return { requestId, ending: 'abandoned', usage: noUsage, isEstimated: true, status: 0, durationMs: 0 }
}
