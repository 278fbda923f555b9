import { type LimitColumns, type LimitName, type LimitRow, limitRows, type UserLimits } from '#core/limits.ts'
import { integer, text } from '#storage/schema/columns.ts'

/** Converts between a user's limits and their columns, by the table of limits. */
export const limitColumns = limitRows.map(([, { column }]) => column as keyof LimitColumns)

type Reader = (value: unknown) => number | string | readonly string[]

/**
 * The limits of a row that is a list of values. A user is loaded for nearly every request, so the positions of the
 * columns are looked up once.
 *
 * @param columns the columns of such a row
 */
export function createLimitReader(columns: readonly string[]): (row: readonly unknown[]) => UserLimits {
  const readers = limitRows.map(([name, row]) => ({
    name,
    at: columns.indexOf(row.column),
    read: readerOf(name, row),
  }))
  return (row) => {
    const limits: Partial<Record<LimitName, unknown>> = {}
    for (const { name, at, read } of readers) {
      const value = row[at]
      if (value !== null) limits[name] = read(value)
    }
    // Each value was read by the kind of its limit.
    return limits as UserLimits
  }
}

const readLimits = createLimitReader(limitColumns)

export function toLimits(row: LimitColumns): UserLimits {
  return readLimits(limitColumns.map((column) => row[column]))
}

export function toLimitColumns(limits: UserLimits): LimitColumns {
  const columns: Record<string, number | string | null> = {}
  for (const [name, { column }] of limitRows) columns[column] = toValue(limits[name])
  return columns as unknown as LimitColumns
}

function toValue(value: UserLimits[LimitName]): number | string | null {
  if (value === undefined) return null
  return typeof value === 'object' ? JSON.stringify(value) : value
}

function readerOf(name: LimitName, row: LimitRow): Reader {
  switch (row.kind) {
    case 'count':
    case 'days':
      return integer
    case 'networks':
    case 'models':
      return (value) => parseList(text(value))
    case 'choice':
      return (value) => {
        const choice = row.choices.find((known) => known === value)
        if (choice === undefined) throw new TypeError(`a stored user has the ${name} ${String(value)}`)
        return choice
      }
  }
}

/** A cache of the lists that users were loaded with: there are few different ones, and each request reads some. */
const lists = new Map<string, readonly string[]>()
const listsMax = 1000

function parseList(text: string): readonly string[] {
  const known = lists.get(text)
  if (known) return known
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) throw new TypeError('a stored list is not a list')
  if (lists.size >= listsMax) lists.clear()
  const parsed = Object.freeze(list.map(String))
  lists.set(text, parsed)
  return parsed
}
