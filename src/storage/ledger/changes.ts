import type { AdmissionAsk } from '#core/admission-ask.ts'
import type { NewChange } from '#core/change.ts'
import type { Settlement, UsageBeside } from '#core/settlement.ts'
import type { Usage } from '#core/usage.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import type { Adjustment } from '#storage/quotas/account.ts'
import type { OpenEntry } from './state.ts'

export interface NewEntry {
  readonly ask: Pick<AdmissionAsk, 'requestId' | 'isMetered' | 'route' | 'leaseUntil'> & {
    readonly address?: string | undefined
  }
  readonly userId: string
  readonly frontEndId?: string | undefined
  readonly family: string
  readonly model: string
  readonly hold: number
  readonly inputEstimate: number
  /** When it began, where that was earlier. */
  readonly startedAt?: number
}

export interface ClosedEntry {
  readonly entry: OpenEntry
  readonly settlement: Settlement
  readonly usage: Usage
  readonly units: number
  /** What weights add to the sum of `usage`, or take away from it. */
  readonly weighing: number
  readonly endedAt: number
}

export interface CountedEvent {
  readonly event: UsageEvent
  readonly usage: Usage
  readonly userId: string
  readonly units: number
  readonly weighing: number
  readonly endedAt: number
}

/** The usage of another family within one request, as an entry beside the request's own. */
export interface EntryBeside {
  readonly id: string
  readonly entry: OpenEntry
  readonly settlement: Settlement
  readonly beside: UsageBeside
  readonly usage: Usage
  readonly units: number
  readonly weighing: number
  readonly endedAt: number
}

export interface Seen {
  readonly userId: string
  readonly address: string
  /** The place is not stored yet and counts towards a limit, so it has to be stored. */
  readonly isNewPlace: boolean
}

/** Of a batch that has done nothing yet. */
export function noChanges(): LedgerChanges {
  return { opened: [], closed: [], beside: [], counted: [], adjusted: [], seen: [], blocked: [] }
}

/** What the batch wrote into the ledger, beside the users and quotas marked as changed. */
export interface LedgerChanges {
  readonly opened: NewEntry[]
  readonly closed: ClosedEntry[]
  readonly beside: EntryBeside[]
  readonly counted: CountedEvent[]
  readonly adjusted: Adjustment[]
  /** The address of each admitted user. */
  readonly seen: Seen[]
  /** Users whom a limit has disabled. */
  readonly blocked: NewChange[]
}
