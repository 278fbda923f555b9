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
 * Users are spread over a few voices. Each voice moves its own factor of each kind towards what its requests came to, by a
 * bounded step; a kind's factor is the median of the voices that have spoken of it, where there are two the higher. So
 * what one user sends moves one voice of several, and an odd figure moves that a little. As long as fewer than three
 * voices have spoken, the factor stays nearer to 1: the requests of one user alone must not make a hold that is far too low.
 *
 * A request's error goes to its kinds in proportion to what they take of its estimate: of plain text alone to that, of a
 * line of text with an image to the image.
 *
 * Beside the input the voices say how much of a model's output is reasoning that is not shown, for streams that are cut.
 */
export const voiceCount = 15

/**
 * Of how many models something is kept. Names are the client's, and an upstream that accepts any sees as many as a client
 * can think of.
 */
export const correctedModelsMax = 256

/** What one voice says of one kind of a model's input. */
export interface InputCorrection {
  readonly model: string
  readonly kind: CorrectedKind
  readonly voice: number
  /** What the kind's estimate is multiplied by. */
  readonly factor: number
  /** About how many requests of the model were learned from, to know which models matter. */
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
/** Beside an answer of a word the longest thought says little of what a long text hides. */
const outputPadding = 64

/** What a request is told by that stands in no body: a template, a few units that no factor can say. */
const padding = 256
/** Of the error that one request shows, so much is taken over, and of a larger one no more than of this. */
const rate = 0.25
const errorMax = Math.log(4)
/** A kind with less of a request's estimate learns nothing from it. */
const shareMin = 0.02

/** What a voice says: a factor for each kind of which it has seen something. */
export type Voice = Partial<Record<CorrectedKind, number>>

/** Which voice a user has, for ever. */
export function voiceOf(userId: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < userId.length; at += 1) hash = Math.imul(hash ^ userId.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % voiceCount
}

/** The factor nearest to one, be it from another process, that a voice may have. */
export function toFactor(kind: CorrectedKind, factor: number): number {
  const { min, max } = boundsOf(kind, voiceCount)
  return Math.min(max, Math.max(min, factor)) || 1
}

/**
 * What a voice says after a request, of the kinds about which that tells something.
 *
 * @param units what the request was estimated at, uncorrected
 * @param real what the provider has counted of its input, with what it read from and wrote to a cache
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
 * What a voice says of the hidden output after an answer.
 *
 * @param factor what it said before, or what is said of the model
 * @param shown units of the output that were shown
 * @param all units that the provider has counted
 */
export function heardHidden(factor: number, shown: number, all: number): number {
  const estimate = shown * factor
  const error = Math.log((all + outputPadding) / (estimate + outputPadding))
  const step = rate * Math.min(errorMax, Math.max(-errorMax, error)) * (estimate / (estimate + outputPadding))
  return toFactor('hidden', factor * Math.exp(step))
}

/** What the voices come to; of the kinds that are named, while the others stay as they were. */
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
    // Of two the higher.
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
