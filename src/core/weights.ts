import { toSum } from './units.ts'
import { type Usage, unitsOf } from './usage.ts'

/**
 * How much one unit of each kind counts in a quota. An operator pays a tenth for input that a provider reads from its
 * cache, and may want a quota to say so; without weights every unit counts as one. The figures of each kind stay as the
 * provider states them, in the ledger and in reports; weights decide only what they come to in a quota.
 */
const weightKinds = ['input', 'cacheRead', 'cacheWritten', 'output'] as const
type WeightKind = (typeof weightKinds)[number]

/** The most that one unit may count as. */
export const weightMax = 100
/** Weights have at most three decimals, so that they are whole in thousandths and sums of them are exact. */
const scale = 1000

/** As configured: a kind that is absent counts as it does for all families, and there as 1. */
export type KindWeights = Readonly<Partial<Record<WeightKind, number>>>

export interface WeightSettings {
  readonly all: KindWeights
  readonly families: Readonly<Record<string, KindWeights>>
}

/** In thousandths; reasoning is output. */
export interface Weights extends Readonly<Record<WeightKind, number>> {
  readonly held: HeldWeights
}

/** How a hold weighs what a request may use, before it is known of which kind that will be. */
export interface HeldWeights {
  /** What one unit of a quota is divided into. */
  readonly scale: number
  /** Of the dearest kind of input. */
  readonly input: number
  readonly output: number
}

export const plainWeights: HeldWeights = { scale: 1, input: 1, output: 1 }

/** The weights of a family; undefined where every kind counts as one. */
export type WeightsOf = (family: string) => Weights | undefined

/** Undefined where no weight is configured, or each of them is 1. */
export function createWeights(settings: WeightSettings | undefined): WeightsOf | undefined {
  if (!settings) return undefined
  const { all, families } = settings
  const usual = toWeights(all)
  const own = new Map(
    Object.entries(families).map(([name, weights]) => [name, toWeights({ ...all, ...weights })]),
  )
  if (![usual, ...own.values()].some((weights) => weights !== undefined)) return undefined
  return (family) => (own.has(family) ? own.get(family) : usual)
}

function toWeights(weights: KindWeights): Weights | undefined {
  if (weightKinds.every((kind) => (weights[kind] ?? 1) === 1)) return undefined
  const of = (kind: WeightKind) => Math.round((weights[kind] ?? 1) * scale)
  const [input, cacheRead, cacheWritten, output] = [
    of('input'),
    of('cacheRead'),
    of('cacheWritten'),
    of('output'),
  ]
  const held = { scale, input: Math.max(input, cacheRead, cacheWritten), output }
  return { input, cacheRead, cacheWritten, output, held }
}

/** Whether a figure can be a weight: from 0 to `weightMax`, with at most three decimals. */
export function isWeight(value: number): boolean {
  return value >= 0 && value <= weightMax && Math.abs(value * scale - Math.round(value * scale)) < 1e-6
}

/**
 * The units that a request counts against a quota. What is less than a unit at the end counts as one, so that the sum
 * of requests is never below what they come to exactly.
 *
 * @param usage whole figures that are not negative
 */
export function chargeOf(usage: Usage, weights: Weights | undefined): number {
  if (!weights) return unitsOf(usage)
  const { input, cacheRead, cacheWritten, output, reasoning } = usage
  const sum =
    input * weights.input +
    cacheRead * weights.cacheRead +
    cacheWritten * weights.cacheWritten +
    (output + reasoning) * weights.output
  if (Number.isSafeInteger(sum)) return toWhole(sum, scale)
  // Beyond what numbers are exact for.
  const exact =
    BigInt(input) * BigInt(weights.input) +
    BigInt(cacheRead) * BigInt(weights.cacheRead) +
    BigInt(cacheWritten) * BigInt(weights.cacheWritten) +
    (BigInt(output) + BigInt(reasoning)) * BigInt(weights.output)
  return toSum(Number((exact + BigInt(scale - 1)) / BigInt(scale)))
}

/** What weights add to the plain sum of a usage; below zero where they take away from it. */
export function weighingOf(usage: Usage, weights: Weights | undefined): number {
  return weights ? chargeOf(usage, weights) - unitsOf(usage) : 0
}

/** Rounds up to whole units; dividing first would lose a small rest of a large figure. */
export function toWhole(parts: number, scale: number): number {
  const rest = parts % scale
  return rest > 0 ? (parts - rest) / scale + 1 : parts / scale
}

/** How much output so many parts of units are enough for; any amount where output counts nothing. */
export function outputWithin(parts: number, { output }: HeldWeights): number {
  if (output > 0) return parts / output
  return parts >= 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
}
