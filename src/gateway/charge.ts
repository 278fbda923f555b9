import { noUsage, type Usage } from '#core/usage.ts'
import type { Settlement } from '#storage/store.ts'

/** What is known of an answer when its relay ends. */
export interface Figures {
  /** The provider's own, as far as it has stated them. */
  readonly usage: Usage | undefined
  /** Its last word was said: nothing has to be estimated. */
  readonly isComplete: boolean
  /** Output units that passed, estimated from bytes. */
  readonly outputEstimate: number
}

export const noFigures: Figures = { usage: undefined, isComplete: false, outputEstimate: 0 }

export interface Course {
  readonly isMetered: boolean
  /** The request had been handed to an upstream, so that it may have cost something. */
  readonly wasSent: boolean
  /** The upstream's status; 0 where it gave none. */
  readonly upstreamStatus: number
  /** It ended while the upstream was at work, or may have been. */
  readonly wasCutShort: boolean
  readonly inputEstimate: number
  /** The most output that the request allows, over all its answers; undefined where nobody bounded it. */
  readonly outputBound: number | undefined
}

export type Charge = Pick<Settlement, 'ending' | 'usage' | 'isEstimated'>

const nothing: Charge = { ending: 'released', usage: noUsage, isEstimated: false }

/**
 * What a relay is charged. The provider's own final figure wherever there is one, with whatever status. Else
 * nothing, where the upstream never took the request or answered with an error; else the usage it stated so far, and
 * for the rest an estimate from the bytes.
 */
export function chargeOf(course: Course, figures: Figures): Charge {
  const { upstreamStatus, wasSent } = course
  const hasSucceeded = upstreamStatus >= 200 && upstreamStatus < 300
  if (!course.isMetered) return hasSucceeded ? { ...nothing, ending: 'settled' } : nothing
  const { usage } = figures
  if (usage && figures.isComplete) return { ending: 'settled', usage, isEstimated: false }
  const isDue = hasSucceeded || (upstreamStatus === 0 && wasSent && course.wasCutShort)
  if (!isDue) return nothing
  return {
    ending: 'settled',
    usage: estimateOf(usage, figures.outputEstimate, course),
    isEstimated: true,
  }
}

/** Completes what a provider has said so far: it states the input first, and the output as it grows. */
function estimateOf(stated: Usage | undefined, outputEstimate: number, course: Course): Usage {
  const known = stated ?? noUsage
  const hasInput = known.input + known.cacheRead + known.cacheWritten > 0
  // An estimate must not come to more than the upstream was allowed to answer, and so was reserved.
  const most = Math.min(outputEstimate, course.outputBound ?? outputEstimate)
  return {
    ...known,
    input: hasInput ? known.input : course.inputEstimate,
    output: Math.max(known.output, most - known.reasoning),
  }
}
