import type { UsageDimension } from '#core/usage-question.ts'
import { mayBeFormula } from '#lib/spreadsheet-formula.ts'
import type { UsageReportRow } from '#metering/usage-report.ts'

/**
 * A report as CSV (RFC 4180). A model's name is client input, and a spreadsheet evaluates a cell that begins with one
 * of a few characters as a formula: such a cell gets a leading apostrophe.
 */
export function csvHead(groupBy: readonly UsageDimension[]): string {
  return `${columnsOf(groupBy).join(',')}\r\n`
}

export function csvLine(row: UsageReportRow, groupBy: readonly UsageDimension[]): string {
  const cells = columnsOf(groupBy).map((name) =>
    name === 'time' ? new Date(row.at).toISOString() : csvCell(row[name] ?? ''),
  )
  return `${cells.join(',')}\r\n`
}

export function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const text = mayBeFormula(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const figures = [
  'requests',
  'estimated',
  'input',
  'cacheRead',
  'cacheWritten',
  'output',
  'reasoning',
  'units',
] as const

function columnsOf(groupBy: readonly UsageDimension[]) {
  return ['at', 'time', ...groupBy, ...figures] as const
}
