/** One measured figure, and its bar. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** `atLeast` or `atMost`; a figure without one is for reading. */
  readonly atLeast?: number
  readonly atMost?: number
}

export function isMet({ value, atLeast, atMost }: Figure): boolean {
  return !(atLeast !== undefined && value < atLeast) && !(atMost !== undefined && value > atMost)
}

/** Prints figures with their bars; returns whether all are met. */
export function report(title: string, figures: readonly Figure[]): boolean {
  console.log(`\n${title}`)
  for (const figure of figures) {
    const { what, value, unit, atLeast, atMost } = figure
    const bar =
      atLeast !== undefined ? `at least ${atLeast}` : atMost !== undefined ? `at most ${atMost}` : ''
    const mark = bar === '' ? '  ' : isMet(figure) ? 'ok' : 'NO'
    console.log(`  ${mark}  ${what.padEnd(58)} ${format(value).padStart(10)} ${unit.padEnd(10)} ${bar}`)
  }
  return figures.every(isMet)
}

export function format(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 3)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
