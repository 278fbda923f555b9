import type { AdmissionAsk } from '#core/admission-ask.ts'
import type { Settlement } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import type { Waiting } from './deadlines.ts'
import type { Asked, Ledger } from './ledger.ts'

/** What waits to be booked, each with its caller. */
export interface Asking extends Waiting {
  readonly ask: AdmissionAsk
  readonly resolve: (outcome: Asked) => void
}

export interface Settling {
  readonly settlement: Settlement
  readonly resolve: (outcome: Awaited<ReturnType<Ledger['settle']>>) => void
  /** The settlement is in the journal, or is being written there. */
  isWrittenDown: boolean
  isKept: boolean
}

export interface Counting extends Waiting {
  readonly event: UsageEvent
  readonly resolve: (outcome: UsageEventOutcome | 'kept') => void
}

/** The questions that are booked in one transaction. */
export interface Part {
  readonly settling: readonly Settling[]
  readonly counting: readonly Counting[]
  readonly asking: readonly Asking[]
}

export function sizeOf({ settling, counting, asking }: Part): number {
  return settling.length + counting.length + asking.length
}

/** The first half of the questions and the rest, in their order; undefined if there is only one. */
export function halvesOf(part: Part): readonly [Part, Part] | undefined {
  const { settling, counting, asking } = part
  const half = sizeOf(part) >> 1
  if (half === 0) return undefined
  const settled = Math.min(half, settling.length)
  const counted = Math.max(0, Math.min(half - settling.length, counting.length))
  const asked = half - settled - counted
  return [
    {
      settling: settling.slice(0, settled),
      counting: counting.slice(0, counted),
      asking: asking.slice(0, asked),
    },
    { settling: settling.slice(settled), counting: counting.slice(counted), asking: asking.slice(asked) },
  ]
}
