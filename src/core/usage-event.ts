import type { Usage } from './usage.ts'

/** Usage that was metered elsewhere and is reported here; it counts once for each `eventId`. */
export interface UsageEvent {
  /** Identifies the event: a digest over its reporter and its id. */
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
  /** When it happened, where the reporter says so; it counts in the period in which it is reported. */
  readonly happenedAt?: number
}

export type UsageEventOutcome = 'counted' | 'repeated' | 'unknown_user'
