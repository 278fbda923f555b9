import type { Settlement } from '#core/settlement.ts'
import { noUsage, type Usage, unitsOf } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import type { AnswerModels, PassedUnits } from '#providers/provider.ts'

/** What is known of an answer when its relay ends. */
export interface Figures {
  /** The provider's own, as far as it has stated them. */
  readonly usage: Usage | undefined
  /** What it states beside them. */
  readonly extras: UsageExtras | undefined
  /** Its last word was said: nothing has to be estimated. */
  readonly isComplete: boolean
  /** Units that passed, estimated from bytes. */
  readonly passed: PassedUnits
  /** All that came is an error, whatever its status. */
  readonly isError: boolean
  /** Where the request may have led to other models than its own. */
  readonly models?: AnswerModels
}

export const noFigures: Figures = {
  usage: undefined,
  extras: undefined,
  isComplete: false,
  passed: { output: 0, reasoning: 0 },
  isError: false,
}

export interface Course {
  readonly isMetered: boolean
  /** Where the provider states no figure, it counts as a request, with no units. */
  readonly isByRequest?: boolean | undefined
  /** The request had been handed to an upstream, so that it may have cost something. */
  readonly wasSent: boolean
  /** The upstream's status; 0 where it gave none. */
  readonly upstreamStatus: number
  /** It ended while the upstream was at work, or may have been. */
  readonly wasCutShort: boolean
  readonly inputEstimate: number
  /** The most output that the request allows, over all its answers; undefined where nobody bounded it. */
  readonly outputBound: number | undefined
  /** What the model's output comes to over what is shown of it, where that was learned; absent: as much. */
  readonly hiddenFactor?: number
}

export type Charge = Pick<Settlement, 'ending' | 'usage' | 'isEstimated' | 'extras' | 'beside'>

const nothing: Charge = { ending: 'released', usage: noUsage, isEstimated: false }

/**
 * What a relay is charged. The provider's own final figure wherever there is one, with whatever status. Else
 * nothing, where the upstream never took the request, or answered with an error, be it in an answer of status 200; else
 * the usage it stated so far, and for the rest an estimate from the bytes.
 */
export function chargeOf(course: Course, figures: Figures): Charge {
  const { upstreamStatus, wasSent } = course
  const hasSucceeded = isSuccess(upstreamStatus)
  if (!course.isMetered) return hasSucceeded && !figures.isError ? { ...nothing, ending: 'settled' } : nothing
  const { usage, extras } = figures
  const stated = { ending: 'settled', ...(extras && { extras }) } as const
  if (usage && figures.isComplete && !saysNothing(usage, figures) && !isFreeError(usage, figures)) {
    return { ...stated, usage, isEstimated: false }
  }
  const isDue = hasSucceeded || (upstreamStatus === 0 && wasSent && course.wasCutShort)
  if (!isDue || figures.isError) return nothing
  if (course.isByRequest && !usage) return chargeOfRequest(course)
  return { ...stated, usage: estimateOf(usage, figures.passed, course), isEstimated: true }
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** No output beside something that was written: a server without figures that states them all the same. */
function saysNothing({ output, reasoning }: Usage, { passed }: Figures): boolean {
  return output + reasoning === 0 && passed.output + passed.reasoning > 0
}

/** An error that states zeros failed as one that states nothing. */
function isFreeError(usage: Usage, { isError }: Figures): boolean {
  return isError && unitsOf(usage) === 0
}

/**
 * Without figures a whole answer has no units. One that was cut short may have had some: it is charged what was held, since
 * otherwise hanging up would be a way to have an image, or a speech, for nothing.
 */
function chargeOfRequest({ wasCutShort, inputEstimate, outputBound = 0 }: Course): Charge {
  if (!wasCutShort) return { ending: 'settled', usage: noUsage, isEstimated: false }
  return {
    ending: 'settled',
    usage: { ...noUsage, input: inputEstimate, output: outputBound },
    isEstimated: true,
  }
}

/** How much of an answer's output its stream showed, and all of it. */
export function shownOf(
  { output, reasoning }: Usage,
  passed: PassedUnits,
): { readonly shown: number; readonly all: number } {
  return { shown: output + Math.min(reasoning, passed.reasoning), all: output + reasoning }
}

/** Reasoning that was not shown, by what such answers hide, within what was allowed. What is stated is not estimated. */
function hiddenIn(known: Usage, passed: PassedUnits, { hiddenFactor = 1, outputBound }: Course): number {
  if (known.reasoning > 0 || hiddenFactor <= 1) return 0
  const shown = passed.output + passed.reasoning
  const room = Math.max(0, (outputBound ?? Number.POSITIVE_INFINITY) - shown)
  return Math.min(room, Math.round(shown * (hiddenFactor - 1)))
}

/**
 * Completes what a provider has said so far: it states the input first, and the output as it grows. Reasoning that it
 * stated counts also where nothing of it was shown; else what the model's answers hide as a rule.
 */
function estimateOf(stated: Usage | undefined, passed: PassedUnits, course: Course): Usage {
  const known = stated ?? noUsage
  const hasInput = known.input + known.cacheRead + known.cacheWritten > 0
  // An estimate must not come to more than the upstream was allowed to answer, and so was reserved.
  const bound = course.outputBound ?? Number.POSITIVE_INFINITY
  const reasoning = Math.max(
    known.reasoning,
    Math.min(passed.reasoning + hiddenIn(known, passed, course), bound),
  )
  return {
    ...known,
    input: hasInput ? known.input : course.inputEstimate,
    output: Math.max(known.output, Math.min(passed.output, Math.max(0, bound - reasoning))),
    reasoning,
  }
}
