import type { InputCorrection } from '#core/input-correction.ts'
import {
  correctedModelsMax,
  factorsOf,
  heard,
  heardHidden,
  toFactor,
  type Voice,
  voiceCount,
  voiceOf,
} from '#core/input-correction.ts'
import { type CorrectionFactors, type InputUnits, inputKinds, noFactors } from '#core/input-kinds.ts'

/** What has been learned of how models count their input. It is in memory, so that an admission only looks it up. */
export interface InputCorrections {
  readonly factorsOf: (model: string) => CorrectionFactors
  readonly learn: (counted: CountedInput) => void
  /** Learns from an answer how much of its output was shown. */
  readonly learnHidden: (counted: CountedOutput) => void
  /** What has changed here since it was last stored, at most `limit` of them. Each is returned once. */
  readonly takeChanged: (limit: number) => readonly InputCorrection[]
  /** Marks corrections that could not be stored as changed again. */
  readonly putBack: (corrections: readonly InputCorrection[]) => void
  /** Takes over what other instances have learned. What has changed here since it was stored stays. */
  readonly merge: (corrections: readonly InputCorrection[]) => void
}

/** A request whose input the provider has counted. */
interface CountedInput {
  readonly userId: string
  readonly model: string
  readonly units: InputUnits
  readonly real: number
}

/** A streamed answer whose output the provider has counted, in units. */
interface CountedOutput {
  readonly userId: string
  readonly model: string
  readonly shown: number
  readonly all: number
}

/**
 * A voice that has learned from `wellHeard` requests learns only from one of `oneOf` more: each costs microseconds and
 * changes little.
 */
const [wellHeard, oneOf] = [64, 8]

interface Learned {
  readonly voices: Map<number, Voice>
  /** How many requests each voice has counted since the start. */
  readonly heard: Float64Array
  readonly heardHidden: Float64Array
  readonly changed: Set<string>
  factors: CorrectionFactors
  requests: number
}

/** Counts a request for a voice; returns whether the voice learns from it. */
function isDue(heard: Float64Array, voice: number): boolean {
  const count = (heard[voice] ?? 0) + 1
  heard[voice] = count
  return count <= wellHeard || count % oneOf === 0
}

/** Drops the least used model: clients may make names up, and such names are used less than real ones. */
function forgetLeastUsed(models: Map<string, Learned>): void {
  let least: string | undefined
  let requests = Number.POSITIVE_INFINITY
  for (const [model, learned] of models) {
    if (learned.requests >= requests) continue
    least = model
    requests = learned.requests
  }
  if (least !== undefined) models.delete(least)
}

function voiceIn({ voices }: Learned, number: number): Voice {
  const known = voices.get(number)
  if (known) return known
  const made: Voice = {}
  voices.set(number, made)
  return made
}

export function createInputCorrections(modelsMax = correctedModelsMax): InputCorrections {
  const models = new Map<string, Learned>()

  function learnedOf(model: string): Learned {
    const known = models.get(model)
    if (known) return known
    if (models.size >= modelsMax) forgetLeastUsed(models)
    const made = {
      voices: new Map(),
      heard: new Float64Array(voiceCount),
      heardHidden: new Float64Array(voiceCount),
      changed: new Set<string>(),
      factors: noFactors,
      requests: 0,
    }
    models.set(model, made)
    return made
  }

  return {
    factorsOf: (model) => models.get(model)?.factors ?? noFactors,
    learn({ userId, model, units, real }) {
      const learned = learnedOf(model)
      const number = voiceOf(userId)
      learned.requests += 1
      if (!isDue(learned.heard, number)) return
      const voice = voiceIn(learned, number)
      const said = heard(voice, learned.factors, units, real)
      const kinds = inputKinds.filter((kind) => said[kind] !== undefined)
      Object.assign(voice, said)
      for (const kind of kinds) learned.changed.add(`${number} ${kind}`)
      learned.factors = factorsOf([...learned.voices.values()], kinds, learned.factors)
    },
    learnHidden({ userId, model, shown, all }) {
      // Most models hide no output; for those nothing is stored.
      if (shown <= 0 || (all <= shown && (models.get(model)?.factors.hidden ?? 1) === 1)) return
      const learned = learnedOf(model)
      const number = voiceOf(userId)
      if (!isDue(learned.heardHidden, number)) return
      const voice = voiceIn(learned, number)
      voice.hidden = heardHidden(voice.hidden ?? learned.factors.hidden, shown, all)
      learned.changed.add(`${number} hidden`)
      learned.factors = factorsOf([...learned.voices.values()], ['hidden'], learned.factors)
    },
    takeChanged(limit) {
      const taken: InputCorrection[] = []
      for (const [model, { voices, changed, requests }] of models) {
        for (const key of changed) {
          if (taken.length >= limit) return taken
          changed.delete(key)
          const [number, kind] = key.split(' ') as [string, keyof Voice]
          const factor = voices.get(Number(number))?.[kind]
          if (factor !== undefined) taken.push({ model, kind, voice: Number(number), factor, requests })
        }
      }
      return taken
    },
    putBack(corrections) {
      for (const { model, kind, voice } of corrections) models.get(model)?.changed.add(`${voice} ${kind}`)
    },
    merge(corrections) {
      const touched = new Set<Learned>()
      for (const { model, kind, voice, factor, requests } of corrections) {
        const learned = learnedOf(model)
        learned.requests = Math.max(learned.requests, requests)
        if (learned.changed.has(`${voice} ${kind}`)) continue
        voiceIn(learned, voice)[kind] = toFactor(kind, factor)
        touched.add(learned)
      }
      for (const learned of touched) learned.factors = factorsOf([...learned.voices.values()])
    },
  }
}
