import { sumMax, toSum, toUnits } from '#core/units.ts'

/**
 * Reads and adds up a row's values. A figure out of range is read as the nearest one within it: one bad row must not
 * make others unreadable. A value of the wrong type is a bug.
 */
export function integer(value: unknown): number {
  if (typeof value === 'number') return toSum(value)
  if (typeof value === 'bigint') return toSum(Number(value))
  throw new TypeError(`stored ${String(value)} is not a number`)
}

/** A single figure, such as that of one request. */
export function units(value: unknown): number {
  return toUnits(integer(value))
}

export function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`stored ${String(value)} is not a text`)
  return value
}

export function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : read(value)
}

/** Reads rows one by one. A damaged row is named by its id, and fails no other. */
export function readEach<Row extends { readonly id: string }, Item>(
  rows: readonly Row[],
  read: (row: Row) => Item,
): { readonly items: readonly Item[]; readonly unreadable: readonly string[] } {
  const items: Item[] = []
  const unreadable: string[] = []
  for (const row of rows) {
    try {
      items.push(read(row))
    } catch (error) {
      if (!isDamage(error)) throw error
      unreadable.push(row.id)
    }
  }
  return { items, unreadable }
}

/** Whether it is an error that parsing a row throws; the database's own errors have other classes. */
export function isDamage(error: unknown): boolean {
  return error instanceof TypeError || error instanceof SyntaxError
}

/** Where each column stands in a row that is a list of values. */
export function positionsOf<Column extends string>(
  columns: readonly Column[],
): Readonly<Record<Column, number>> {
  const positions = columns.map((column, index) => [column, index] as const)
  return Object.fromEntries(positions) as Record<Column, number>
}

/** Adds one column to another and saturates. Beyond 64 bits the database itself would fail or use fractions. */
export function saturating(stored: string, added: string): string {
  return `case when ${stored} > ${sumMax} - ${added} then ${sumMax} else ${stored} + ${added} end`
}

/** The same for values that can also be far below zero. */
export function saturatingBoth(stored: string, added: string): string {
  const isBelow = `${stored} < 0 and ${added} < -${sumMax} - ${stored}`
  const isAbove = `${stored} > 0 and ${added} > ${sumMax} - ${stored}`
  return `case when ${isAbove} then ${sumMax} when ${isBelow} then -${sumMax} else ${stored} + ${added} end`
}

/** The sum of a column over any number of rows, as a double: a thousand values at their bound exceed 64 bits. */
export function wideSum(expression: string): string {
  return `sum(cast(${expression} as double precision))`
}

/** The kinds of units, as an entry and each row of usage have them. */
export const kindColumns = ['input', 'cache_read', 'cache_written', 'output', 'reasoning'] as const

/** What a row of usage adds up, beside `weighing`. */
export const usageSums = ['requests', 'estimated', ...kindColumns] as const

export const sumOfKinds = kindColumns.join(' + ')

/** What a row counts against quotas: the sum of its kinds, with what weights added or took away. */
export const weighedSum = `${sumOfKinds} + weighing`

/** A sum, limited to what a column may hold. */
export function bounded(sum: string): string {
  return `case when ${sum} > ${sumMax} then ${sumMax} else ${sum} end`
}

/** The same for values that can also be far below zero. */
export function boundedBoth(sum: string): string {
  return `case when ${sum} > ${sumMax} then ${sumMax} when ${sum} < -${sumMax} then -${sumMax} else ${sum} end`
}
