import type { Settlement } from './settlement.ts'
import type { Usage } from './usage.ts'
import type { UsageExtras } from './usage-extras.ts'

/** How an entry of the ledger stands; the three that are closed are said at `Settlement`. */
export type RequestState = 'open' | Settlement['ending']
export const requestStates: readonly RequestState[] = ['open', 'settled', 'released', 'abandoned']

/** One request as the ledger has it. What is not known (yet) is absent. */
export interface BookedRequest {
  readonly id: string
  readonly userId: string
  readonly startedAt: number
  readonly route: string
  readonly family: string
  readonly model: string
  readonly state: RequestState
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** Units that it held of its quota. */
  readonly hold: number
  readonly usage: Usage
  /** What the provider states beside it and prices apart. */
  readonly extras?: UsageExtras
  /** What counts against the quota. */
  readonly units: number
  /** That the client got; 0 where it was gone before. */
  readonly status?: number
  readonly code?: string
  readonly upstream?: string
  readonly address?: string
  readonly endedAt?: number
  readonly durationMs?: number
  readonly firstByteMs?: number
}

export interface RequestFilter {
  readonly userId?: string
  /** When it came in: from this instant, and before that one; epoch milliseconds. */
  readonly from?: number
  readonly to?: number
  readonly state?: RequestState
  readonly status?: number
  readonly code?: string
  readonly family?: string
  readonly model?: string
  /** Empty for what was sent to none. */
  readonly upstream?: string
}

export interface RequestQuestion {
  readonly filter: RequestFilter
  /** `next` of the page before. */
  readonly after?: string
  readonly limit: number
}

export interface RequestPage {
  readonly requests: readonly BookedRequest[]
  /** Absent where there are no more. A page with a `next` may hold fewer than asked for, or none. */
  readonly next?: string
}
