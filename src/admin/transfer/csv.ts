import { stringify } from 'csv-stringify/sync'
import { type LimitRow, limitRows } from '#core/limits.ts'
import { mayBeFormula } from '#lib/spreadsheet-formula.ts'
import type { Cell } from './records.ts'

/**
 * Users as rows of a table and back. A spreadsheet evaluates a cell that begins with one of a few characters as a
 * formula: such a text gets a leading apostrophe, which is taken off again. An empty cell stands for an absent field; an
 * empty text is quoted.
 */
type Kind = 'text' | 'number' | 'time' | 'json' | 'tags'

const limitKinds: Readonly<Record<LimitRow['kind'], Kind>> = {
  count: 'number',
  days: 'number',
  networks: 'json',
  models: 'json',
  choice: 'text',
}

const maps = ['tokenLimits', 'tokenCounts'] as const

/** The columns in their order, by name. */
export function columnsOf(familyNames: readonly string[]): ReadonlyMap<string, Kind> {
  const ofFamilies = maps.flatMap((map) =>
    familyNames.map((family) => [`${map}.${family}`, 'number'] as const),
  )
  return new Map<string, Kind>([
    ...(['token', 'id', 'nickname', 'type'] as const).map((name) => [name, 'text'] as const),
    ['tags', 'tags'],
    ['promptCount', 'number'],
    ...ofFamilies,
    ...(['createdAt', 'lastUsedAt', 'disabledAt'] as const).map((name) => [name, 'time'] as const),
    ['disabledReason', 'text'],
    ['expiresAt', 'time'],
    ...limitRows.map(([name, { kind }]) => [name, limitKinds[kind]] as const),
    ['ip', 'json'],
    ['adminNote', 'text'],
    ['meta', 'json'],
    ['tokenSha256', 'text'],
  ])
}

type Columns = ReturnType<typeof columnsOf>
type Members = Readonly<Record<string, unknown>>

/** Rows as they stand in the file, each with its line end. */
export function toRows(rows: readonly (readonly unknown[])[]): string {
  return stringify(
    rows.map((row) => row.map((value) => value)),
    {
      record_delimiter: '\r\n',
      quoted_match: /[\r\n]/,
      cast: { string: (text) => (text === '' ? { value: text, quoted_empty: true } : text) },
    },
  )
}

export function toCells(user: Members, columns: Columns): readonly unknown[] {
  return [...columns].map(([name, kind]) => {
    const value = memberOf(user, name)
    if (value === undefined) return undefined
    if (kind === 'tags') return Array.isArray(value) ? guarded(value.join(',')) : undefined
    if (kind === 'json') return JSON.stringify(value)
    return typeof value === 'string' ? guarded(value) : value
  })
}

/** The object that a row describes; with `isClearing` an empty cell is null, which clears a field. */
export function fromCells(
  cells: readonly Cell[],
  head: readonly (readonly [name: string, kind: Kind | undefined])[],
  isClearing: boolean,
): Record<string, unknown> {
  const members = new Map<string, unknown>()
  const families = new Map<string, Map<string, unknown>>()
  for (const [index, [name, kind]] of head.entries()) {
    const cell = cells[index]
    // A row that ends early says nothing of the columns after it.
    const isEmptied = isClearing && index < cells.length && mayBeCleared(name)
    if (name === '' || (cell === undefined && !isEmptied)) continue
    const value = cell === undefined ? null : toValue(cell, kind)
    const map = maps.find((each) => name.startsWith(`${each}.`))
    if (map === undefined) members.set(name, value)
    else {
      const values = families.get(map) ?? new Map<string, unknown>()
      families.set(map, values.set(name.slice(map.length + 1), value))
    }
  }
  for (const [map, values] of families) members.set(map, Object.fromEntries(values))
  return Object.fromEntries(members)
}

/** What is wrong with the head of a table; undefined where nothing is. */
export function headFault(
  head: readonly (readonly [name: string, kind: Kind | undefined])[],
  columns: Columns,
): string | undefined {
  const columnsMax = columns.size + unknownMax
  if (head.length > columnsMax) return `has more than ${columnsMax} columns`
  // Spreadsheets write columns without a name where cells were emptied.
  const names = head.flatMap(([name]) => (name === '' ? [] : [name]))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  return twice === undefined ? undefined : `has the column ${twice.slice(0, 80)} twice`
}

/** Columns beside the known ones; each row costs time for each of them. */
const unknownMax = 1_000

/** The columns of a head line: those that are not known have no kind. */
export function toHead(
  cells: readonly Cell[],
  columns: Columns,
): readonly (readonly [string, Kind | undefined])[] {
  return cells.map((cell = '') => [cell.trim(), columns.get(cell.trim())])
}

function mayBeCleared(name: string): boolean {
  const fixed = ['token', 'tokenSha256', 'id', 'type', 'promptCount', 'createdAt']
  return !fixed.includes(name) && !name.startsWith('tokenCounts.')
}

function toValue(cell: string, kind: Kind | undefined): unknown {
  switch (kind) {
    case 'number':
    case 'time':
      return /^-?\d{1,16}$/.test(cell.trim()) ? Number(cell) : cell
    case 'json':
      try {
        return JSON.parse(cell)
      } catch {
        // Of the wrong type, and refused as such.
        return cell
      }
    case 'tags':
      return unguarded(cell)
        .split(',')
        .map((tag) => tag.trim())
        .filter((tag) => tag !== '')
    default:
      return unguarded(cell)
  }
}

function guarded(text: string): string {
  return needsGuard(text) ? `'${text}` : text
}

function unguarded(cell: string): string {
  return cell.startsWith("'") && needsGuard(cell.slice(1)) ? cell.slice(1) : cell
}

/** A text that begins with the guard itself gets one too, so that it comes back as it was. */
function needsGuard(text: string): boolean {
  return text.startsWith("'") || mayBeFormula(text)
}

function memberOf(user: Members, name: string): unknown {
  const map = maps.find((each) => name.startsWith(`${each}.`))
  if (map === undefined) return user[name]
  const values = user[map]
  if (typeof values !== 'object' || values === null) return undefined
  return Object.getOwnPropertyDescriptor(values, name.slice(map.length + 1))?.value
}
