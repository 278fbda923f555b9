import { limitRows } from '#core/limits.ts'
import type { Values } from '#storage/ledger/rows.ts'
import type { Write } from '#storage/schema/write.ts'

/**
 * Statements over many rows at once. Each column is one parameter, an array: the text is the same for any number of
 * rows, and is prepared once.
 */
const texts: ReadonlySet<string> = new Set([
  ...['id', 'user_id', 'kind', 'route', 'family', 'model', 'state', 'address', 'instance'],
  ...['error_code', 'upstream', 'disabled_reason', 'extras'],
  ...[
    'actor_kind',
    'actor_id',
    'actor_name',
    'object',
    'fields_before',
    'fields_after',
    'request_id',
    'hash',
    'removed_hash',
    'key_encrypted',
    'mac',
  ],
  ...[
    'token_hmac',
    'token_encrypted',
    'digest_encrypted',
    'token_hint',
    'search',
    'type',
    'nickname',
    'admin_note',
    'meta',
  ],
  ...['tags', 'tag', 'words', 'run_id', 'undo', 'traces', 'front_end_id'],
  ...limitRows.flatMap(([, { kind, column }]) => (kind === 'count' || kind === 'days' ? [] : [column])),
])

function typeOf(column: string): string {
  if (column === 'rate_tat') return 'double precision'
  return texts.has(column) ? 'text' : 'bigint'
}

function arraysOf(columns: readonly string[], types: readonly string[]): string {
  return columns.map((_, index) => `$${index + 1}::${types[index]}[]`).join(', ')
}

/** @param types the columns' types, for a table that the ledger does not write */
export function insertMany(
  table: string,
  columns: readonly string[],
  types: readonly string[] = columns.map(typeOf),
): string {
  return `insert into ${table} (${columns.join(', ')}) select * from unnest(${arraysOf(columns, types)})`
}

/** Updates the rows that are named by the `key` columns. */
function updateMany(table: string, columns: readonly string[], key: readonly string[], more = ''): string {
  const sets = columns.flatMap((column) => (key.includes(column) ? [] : [`${column} = given.${column}`]))
  const same = key.map((column) => `stored.${column} = given.${column}`)
  return `update ${table} as stored set ${sets.join(', ')}${more}
    from unnest(${arraysOf(columns, columns.map(typeOf))}) as given (${columns.join(', ')}) where ${same.join(' and ')}`
}

/** The statement of a write. */
export function writeMany({ table, columns, key, more }: Write): string {
  return key.length === 0
    ? `${insertMany(table, columns)} ${more}`
    : updateMany(table, columns, key, more === '' ? '' : `, ${more}`)
}

/** Turns rows into columns, each an array parameter. */
export function columnsOf(rows: readonly Values[], width: number): string[] {
  return Array.from({ length: width }, (_, column) => arrayOf(rows.map((row) => row[column])))
}

/**
 * An array in PostgreSQL's text format. The driver can write one as well, but checks each character: that took a
 * tenth of this process's time for a batch.
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
