import type { Settlement } from './settlement.ts'
import type { Usage } from './usage.ts'
import type { UsageExtras } from './usage-extras.ts'

/** The state of an entry of the ledger; `Settlement` explains the three closed ones. */
export type RequestState = 'open' | Settlement['ending']
export const requestStates: readonly RequestState[] = ['open', 'settled', 'released', 'abandoned']

/** One request of the ledger. A field that is not known (yet) is absent. */
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
  /** Units of its quota that it held. */
  readonly hold: number
  readonly usage: Usage
  /** Further figures of the provider that are priced apart. */
  readonly extras?: UsageExtras
  /** The units that count against the quota. */
  readonly units: number
  /** The status that the client got; 0 where it hung up before. */
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
  /** Requests that came in from this instant on, and before that one; epoch milliseconds. */
  readonly from?: number
  readonly to?: number
  readonly state?: RequestState
  readonly status?: number
  readonly code?: string
  readonly family?: string
  readonly model?: string
  /** Empty for requests that were sent to no upstream. */
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
  /** Ids of entries that cannot be read: they are left out, so that all others can be read. */
  readonly unreadable?: readonly string[]
  /** Absent on the last page. A page with a `next` may hold fewer requests than asked for, or be empty. */
  readonly next?: string
}
