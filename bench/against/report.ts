import { format } from '../support/report.ts'
import { type Comparison, isKept, ratioLeast } from './ratio.ts'

/** Prints each figure of both with its ratio, and the least and greatest ratio; returns whether all bars are met. */
export function reportComparisons(title: string, comparisons: readonly Comparison[]): boolean {
  console.log(`\n${title}`)
  for (const line of comparisons.map(lineOf)) console.log(line)
  if (comparisons.length === 0) console.log('  NO  no figure is there on both sides')
  return comparisons.length > 0 && comparisons.every(isKept)
}

export function lineOf(comparison: Comparison): string {
  const { what, unit, ours, theirs, ratio, least, most } = comparison
  const figures = `${format(ours).padStart(9)} against ${format(theirs).padStart(9)} ${unit.padEnd(8)}`
  const range = `(${least.toFixed(2)} to ${most.toFixed(2)})`
  return `  ${isKept(comparison) ? 'ok' : 'NO'}  ${what.padEnd(48)} ${figures} ${ratio.toFixed(3)} x ${range.padEnd(14)} at least ${ratioLeast}`
}
