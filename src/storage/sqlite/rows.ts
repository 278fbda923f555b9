import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Values } from '#storage/ledger/rows.ts'
import { integer } from '#storage/schema/columns.ts'

/**
 * Reads rows in which an integer may be beyond 2^53. The driver refuses to return such a row as numbers, and a BigInt
 * for every integer would slow down each request. So only a statement that met one is read again, and returns the
 * nearest exact number.
 */
export function allRows(statement: StatementSync, ...values: SQLInputValue[]): SQLOutputValue[][] {
  return lenient(statement, () => statement.all(...values) as unknown as SQLOutputValue[][], narrowAll)
}

/** The same for one row; undefined where no row matches. */
export function oneRow(statement: StatementSync, ...values: SQLInputValue[]): Values | undefined {
  const read = () => statement.get(...values) as unknown as SQLOutputValue[] | undefined
  return lenient(statement, read, narrowOne)
}

type NamedRow = Record<string, SQLOutputValue>

/** The same for rows by column name. */
export function allNamed(statement: StatementSync, ...values: SQLInputValue[]): NamedRow[] {
  return lenient(
    statement,
    () => statement.all(...values),
    (rows) =>
      rows.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, narrowValue(value)])),
      ),
  )
}

/** Rows with every integer beyond 2^53 as an exact BigInt, for rows that are copied and not computed with. */
export function allExact(statement: StatementSync, ...values: SQLInputValue[]): SQLOutputValue[][] {
  return lenient(
    statement,
    () => statement.all(...values) as unknown as SQLOutputValue[][],
    (rows) => rows.map((row) => row.map((value) => (isSafe(value) ? Number(value) : value))),
  )
}

function lenient<T>(statement: StatementSync, read: () => T, narrowed: (result: T) => T): T {
  try {
    return read()
  } catch (error) {
    if (!isOutOfRange(error)) throw error
    statement.setReadBigInts(true)
    try {
      return narrowed(read())
    } finally {
      statement.setReadBigInts(false)
    }
  }
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_OUT_OF_RANGE'
}

function narrowAll(rows: SQLOutputValue[][]): SQLOutputValue[][] {
  return rows.map(narrow)
}

function narrowOne(row: SQLOutputValue[] | undefined): SQLOutputValue[] | undefined {
  return row && narrow(row)
}

function narrow(row: SQLOutputValue[]): SQLOutputValue[] {
  return row.map(narrowValue)
}

function narrowValue(value: SQLOutputValue): SQLOutputValue {
  return typeof value === 'bigint' ? integer(value) : value
}

function isSafe(value: SQLOutputValue): boolean {
  return typeof value === 'bigint' && BigInt(integer(value)) === value
}
