import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Values } from '#storage/ledger/rows.ts'
import { integer } from '#storage/schema/columns.ts'

/**
 * Reading rows in which an integer may lie beyond 2^53. The driver refuses to give such a row as numbers, and giving
 * every integer as a BigInt would cost each request: a statement that met one is read again, and gives the nearest
 * number that is exact.
 */
export function allRows(statement: StatementSync, ...values: SQLInputValue[]): SQLOutputValue[][] {
  return lenient(statement, () => statement.all(...values) as unknown as SQLOutputValue[][], narrowAll)
}

/** The same for one row; undefined where no row fits. */
export function oneRow(statement: StatementSync, ...values: SQLInputValue[]): Values | undefined {
  const read = () => statement.get(...values) as unknown as SQLOutputValue[] | undefined
  return lenient(statement, read, narrowOne)
}

type NamedRow = Record<string, SQLOutputValue>

/** The same for rows by name. */
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

/** Rows with every integer beyond 2^53 as the BigInt that it is, for what is copied and not reckoned with. */
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
