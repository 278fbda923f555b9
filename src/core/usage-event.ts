import type { Usage } from './usage.ts'

/** What was used somewhere else and is only reported here; counted once for each `eventId`. */
export interface UsageEvent {
  /** Names it for ever: a digest over whose event it is and its id. */
  readonly eventId: string
  /** Names its entry in the ledger. */
  readonly requestId: string
  readonly userId?: string
  readonly accessToken?: string
  readonly route: string
  readonly family: string
  readonly model: string
  readonly usage: Usage
  readonly isEstimated: boolean
  readonly status: number
  readonly upstream?: string
  /** When it happened, where that was said; it counts in the period in which it is reported. */
  readonly happenedAt?: number
}

export type UsageEventOutcome = 'counted' | 'repeated' | 'unknown_user'
