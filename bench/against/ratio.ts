import { median } from '../support/report.ts'
import type { Sample } from '../support/side.ts'

/** The figures of one round, of this tree and of the other revision. */
export interface Turn {
  readonly ours: readonly Sample[]
  readonly theirs: readonly Sample[]
}

export interface Comparison {
  readonly what: string
  readonly unit: string
  /** Medians over the rounds. */
  readonly ours: number
  readonly theirs: number
  /** Median over the rounds of each round's ratio. Above 1 is better, also for figures of which less is better. */
  readonly ratio: number
  readonly least: number
  readonly most: number
}

/** The bar: one figure of this tree against the same of the other revision. */
export const ratioLeast = 0.95

export const isKept = ({ ratio }: Comparison): boolean => ratio >= ratioLeast

/**
 * Ratios are taken within a round, since other programs on the machine slow both sides of it. Figures that only one
 * side has are left out.
 */
export function compareTurns(turns: readonly Turn[]): readonly Comparison[] {
  const names = turns[0]?.ours.map(({ what }) => what) ?? []
  return names.flatMap((what) => {
    const pairs = turns.flatMap(({ ours, theirs }) => {
      const our = ours.find((sample) => sample.what === what)
      const their = theirs.find((sample) => sample.what === what)
      return our && their ? [{ our, their }] : []
    })
    const first = pairs[0]?.our
    if (!first) return []
    const ratios = pairs.map(({ our, their }) => ratioOf(our, their)).toSorted((a, b) => a - b)
    return {
      what,
      unit: first.unit,
      ours: median(pairs.map(({ our }) => our.value)),
      theirs: median(pairs.map(({ their }) => their.value)),
      ratio: middle(ratios),
      least: ratios[0] ?? Number.NaN,
      most: ratios.at(-1) ?? Number.NaN,
    }
  })
}

function ratioOf(our: Sample, their: Sample): number {
  return our.better === 'more' ? our.value / their.value : their.value / our.value
}

/** An even number of rounds has two ratios in the middle; their mean favours neither side. */
function middle(sorted: readonly number[]): number {
  const half = sorted.length / 2
  const [below, above] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]]
  return ((below ?? Number.NaN) + (above ?? Number.NaN)) / 2
}
