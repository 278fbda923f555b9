import type { Values } from '#storage/ledger/rows.ts'

/**
 * Statements over many rows at once: each column is one parameter, an array, so that the text stays the same
 * whatever the number of rows, and is prepared once.
 */
const texts: ReadonlySet<string> = new Set([
  ...['id', 'user_id', 'kind', 'route', 'family', 'model', 'state', 'address', 'instance'],
  ...['error_code', 'upstream', 'disabled_reason', 'extras'],
])

function typeOf(column: string): string {
  if (column === 'arrival_at') return 'double precision'
  return texts.has(column) ? 'text' : 'bigint'
}

function arraysOf(columns: readonly string[], types: readonly string[]): string {
  return columns.map((_, index) => `$${index + 1}::${types[index]}[]`).join(', ')
}

/** @param types of the columns, where the table is not one that the ledger writes */
export function insertMany(
  table: string,
  columns: readonly string[],
  types: readonly string[] = columns.map(typeOf),
): string {
  return `insert into ${table} (${columns.join(', ')}) select * from unnest(${arraysOf(columns, types)})`
}

/** Updates the rows that the `key` among the columns names. */
export function updateMany(
  table: string,
  columns: readonly string[],
  key: readonly string[],
  more = '',
): string {
  const sets = columns.flatMap((column) => (key.includes(column) ? [] : [`${column} = given.${column}`]))
  const same = key.map((column) => `stored.${column} = given.${column}`)
  return `update ${table} as stored set ${sets.join(', ')}${more}
    from unnest(${arraysOf(columns, columns.map(typeOf))}) as given (${columns.join(', ')}) where ${same.join(' and ')}`
}

/** Rows turned into columns, each the parameter that it is. */
export function columnsOf(rows: readonly Values[], width: number): string[] {
  return Array.from({ length: width }, (_, column) => arrayOf(rows.map((row) => row[column])))
}

/**
 * An array as PostgreSQL reads it. The driver writes one as well, and looks at each character for that: a tenth of
 * what a batch took of this process.
 */
export function arrayOf(values: readonly unknown[]): string {
  return `{${values.map(elementOf).join(',')}}`
}

function elementOf(value: unknown): string {
  if (value === null || value === undefined) return 'NULL'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value !== 'string') throw new TypeError(`a ${typeof value} cannot be stored`)
  return /["\\]/.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : `"${value}"`
}
