import {
  type CorrectedKind,
  type CorrectionFactors,
  correctedKinds,
  type InputFactors,
  type InputKind,
  type InputUnits,
  inputKinds,
  noFactors,
} from './input-kinds.ts'

/**
 * How the estimate of a model's input is corrected by what its provider has counted.
 *
 * Users are divided into a few groups, called voices. Each voice moves its own factor of each kind towards what its
 * requests came to, by a bounded step. A kind's factor is the median of the voices that have one; of two, the higher. So
 * one user moves one voice of several, and an odd figure moves that voice only a little. While fewer than three voices
 * have a factor, it stays nearer to 1: one user alone must not make a hold far too low.
 *
 * A request's error goes to its kinds in proportion to what they take of its estimate: of plain text alone to that, of a
 * line of text with an image to the image.
 *
 * Beside the input the voices say how much of a model's output is reasoning that is not shown, for streams that are cut.
 */
export const voiceCount = 15

/** For how many models corrections are kept. Names come from clients, so their number must be bounded. */
export const correctedModelsMax = 256

/** The correction of one voice for one kind of a model's input. */
export interface InputCorrection {
  readonly model: string
  readonly kind: CorrectedKind
  readonly voice: number
  /** The factor by which the kind's estimate is multiplied. */
  readonly factor: number
  /** About how many requests of the model were used, which says which models matter. */
  readonly requests: number
}

interface Bounds {
  readonly min: number
  readonly max: number
}

const fewVoices = 3
const boundsOfFew: Bounds = { min: 1 / 2, max: 8 }
const boundsOfMany: Bounds = { min: 1 / 20, max: 20 }
/** Text has a unit a byte at most, and long runs of one character a few for a hundred. */
const plainBounds: Bounds = { min: 1 / 4, max: 4 }
/** What is shown is a part of what is counted. */
const hiddenMin = 1
/** An answer of one word with long hidden reasoning says little about long answers. */
const outputPadding = 64

/**
 * The units of a request that are not in its body, such as a model's template: a constant that no factor can express.
 */
const padding = 256
/** The share of a request's error by which a factor moves, and the largest error that counts. */
const rate = 0.25
const errorMax = Math.log(4)
/** A kind with less of a request's estimate learns nothing from it. */
const shareMin = 0.02

/** The factors of a voice, for each kind that it has seen. */
export type Voice = Partial<Record<CorrectedKind, number>>

/** The voice of a user; it never changes. */
export function voiceOf(userId: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < userId.length; at += 1) hash = Math.imul(hash ^ userId.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % voiceCount
}

/** The nearest factor within the bounds of a voice; factors of other processes are bounded too. */
export function toFactor(kind: CorrectedKind, factor: number): number {
  const { min, max } = boundsOf(kind, voiceCount)
  return Math.min(max, Math.max(min, factor)) || 1
}

/**
 * The factors of a voice after a request, for the kinds of which the request had enough.
 *
 * @param units the request's uncorrected estimate
 * @param real the provider's figure of the input, cache reads and writes included
 */
export function heard(voice: Voice, shared: InputFactors, units: InputUnits, real: number): Voice {
  const factorOf = (kind: InputKind) => voice[kind] ?? shared[kind]
  let sum = 0
  let squares = 0
  for (const kind of inputKinds) {
    const part = units[kind] * factorOf(kind)
    sum += part
    squares += part * part
  }
  if (!(sum > 0 && real > 0)) return {}
  const error = Math.log((real + padding) / (sum + padding))
  const step = rate * Math.min(errorMax, Math.max(-errorMax, error)) * (sum / (sum + padding))
  const said: Voice = {}
  for (const kind of inputKinds) {
    const part = units[kind] * factorOf(kind)
    if (part < shareMin * sum) continue
    said[kind] = toFactor(kind, factorOf(kind) * Math.exp((step * part * sum) / squares))
  }
  return said
}

/**
 * The factor of a voice for hidden output, after an answer.
 *
 * @param factor its factor before, or the model's
 * @param shown units of the output that were shown
 * @param all units that the provider has counted
 */
export function heardHidden(factor: number, shown: number, all: number): number {
  const estimate = shown * factor
  const error = Math.log((all + outputPadding) / (estimate + outputPadding))
  const step = rate * Math.min(errorMax, Math.max(-errorMax, error)) * (estimate / (estimate + outputPadding))
  return toFactor('hidden', factor * Math.exp(step))
}

/** The medians of the voices, for the named kinds; the other factors are unchanged. */
export function factorsOf(
  voices: readonly Voice[],
  kinds: readonly CorrectedKind[] = correctedKinds,
  before: CorrectionFactors = noFactors,
): CorrectionFactors {
  const factors = { ...before }
  const said = new Float64Array(voiceCount)
  for (const kind of kinds) {
    let count = 0
    for (const voice of voices) {
      const factor = voice[kind]
      if (factor !== undefined) said[count++] = factor
    }
    if (count === 0) continue
    const { min, max } = boundsOf(kind, count)
    // The higher of two.
    const median = said.subarray(0, count).sort()[count >> 1] ?? 1
    factors[kind] = Math.min(max, Math.max(min, median))
  }
  return factors
}

function boundsOf(kind: CorrectedKind, voices: number): Bounds {
  const bounds = voices < fewVoices ? boundsOfFew : boundsOfMany
  if (kind === 'hidden') return { min: hiddenMin, max: bounds.max }
  if (kind !== 'plain') return bounds
  return { min: Math.max(bounds.min, plainBounds.min), max: Math.min(bounds.max, plainBounds.max) }
}
