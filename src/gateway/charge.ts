import type { Settlement } from '#core/settlement.ts'
import { noUsage, type Usage, unitsOf } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import type { AnswerModels, PassedUnits } from '#providers/provider.ts'

/** What is known of an answer when its relay ends. */
export interface Figures {
  /** The provider's own figures, as far as it has stated them. */
  readonly usage: Usage | undefined
  /** What the provider states beside them. */
  readonly extras: UsageExtras | undefined
  /** The provider has stated its final figures: nothing has to be estimated. */
  readonly isComplete: boolean
  /** An estimate, from the bytes, of the units that passed. */
  readonly passed: PassedUnits
  /** The whole answer is an error, whatever its status. */
  readonly isError: boolean
  /** Which models answered; present if the request may have led to others than its own. */
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
  /** Without figures of the provider it counts as one request with no units. */
  readonly isByRequest?: boolean | undefined
  /** The request was handed to an upstream, so it may have cost something. */
  readonly wasSent: boolean
  /** The upstream's status; 0 where it gave none. */
  readonly upstreamStatus: number
  /** The relay ended while the upstream was working, or may have been. */
  readonly wasCutShort: boolean
  readonly inputEstimate: number
  /** The most output that the request allows, over all its answers; undefined if it is unbounded. */
  readonly outputBound: number | undefined
  /** The learned ratio of the model's whole output to the output that its streams show; absent: 1. */
  readonly hiddenFactor?: number
}

export type Charge = Pick<Settlement, 'ending' | 'usage' | 'isEstimated' | 'extras' | 'beside'>

const nothing: Charge = { ending: 'released', usage: noUsage, isEstimated: false }

/**
 * What a relay is charged. Final figures of the provider are charged whatever the status; an input that they leave out is
 * estimated. Without them nothing is charged
 * if the upstream never took the request, or answered with an error (also one in an answer of status 200). Otherwise the
 * usage stated so far is charged, completed by an estimate from the bytes.
 */
export function chargeOf(course: Course, figures: Figures): Charge {
  const { upstreamStatus, wasSent } = course
  const hasSucceeded = isSuccess(upstreamStatus)
  if (!course.isMetered) return hasSucceeded && !figures.isError ? { ...nothing, ending: 'settled' } : nothing
  const { usage, extras } = figures
  const stated = { ending: 'settled', ...(extras && { extras }) } as const
  if (usage && figures.isComplete && !saysNothing(usage, figures) && !isFreeError(usage, figures)) {
    const lacksInput = hasSucceeded && !figures.isError && unitsOf(usage) > 0 && !hasInput(usage)
    if (!lacksInput || course.inputEstimate === 0) return { ...stated, usage, isEstimated: false }
    return { ...stated, usage: { ...usage, input: course.inputEstimate }, isEstimated: true }
  }
  const isDue = hasSucceeded || (upstreamStatus === 0 && wasSent && course.wasCutShort)
  if (!isDue || figures.isError) return nothing
  if (course.isByRequest && !usage) return chargeOfRequest(course)
  return { ...stated, usage: estimateOf(usage, figures.passed, course), isEstimated: true }
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** Every request has an input: one that is not stated, or is zero beside an output, was not counted. */
function hasInput({ input, cacheRead, cacheWritten }: Usage): boolean {
  return input + cacheRead + cacheWritten > 0
}

/** Whether no output is stated although some passed: servers that do not count state zeros. */
function saysNothing({ output, reasoning }: Usage, { passed }: Figures): boolean {
  return output + reasoning === 0 && passed.output + passed.reasoning > 0
}

/** Whether this is an error with zero usage; it is treated like an error without figures. */
function isFreeError(usage: Usage, { isError }: Figures): boolean {
  return isError && unitsOf(usage) === 0
}

/**
 * Without figures a complete answer has no units. One that was cut short is charged what was reserved: otherwise hanging
 * up would be a way to get an image or a speech for free.
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

/**
 * Estimates the reasoning that the stream did not show, by the model's learned factor and within the request's bound.
 * Stated reasoning is not estimated.
 */
function hiddenIn(known: Usage, passed: PassedUnits, { hiddenFactor = 1, outputBound }: Course): number {
  if (known.reasoning > 0 || hiddenFactor <= 1) return 0
  const shown = passed.output + passed.reasoning
  const room = Math.max(0, (outputBound ?? Number.POSITIVE_INFINITY) - shown)
  return Math.min(room, Math.round(shown * (hiddenFactor - 1)))
}

/**
 * Completes the usage that a provider has stated so far: it states the input first, and the output as it grows. Stated
 * reasoning counts also if the stream showed nothing of it. Otherwise hidden reasoning is estimated.
 */
function estimateOf(stated: Usage | undefined, passed: PassedUnits, course: Course): Usage {
  const known = stated ?? noUsage
  // An estimate must not exceed the output that the upstream was allowed, which is what was reserved.
  const bound = course.outputBound ?? Number.POSITIVE_INFINITY
  const reasoning = Math.max(
    known.reasoning,
    Math.min(passed.reasoning + hiddenIn(known, passed, course), bound),
  )
  return {
    ...known,
    input: hasInput(known) ? known.input : course.inputEstimate,
    output: Math.max(known.output, Math.min(passed.output, Math.max(0, bound - reasoning))),
    reasoning,
  }
}
