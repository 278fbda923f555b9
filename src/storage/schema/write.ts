import type { Schema } from './tables.ts'

/** One kind of write of many rows, from which each engine makes its statement. */
export interface Write {
  readonly table: string
  /** The values of a row, in this order; those of the key come last. */
  readonly columns: readonly string[]
  /** The columns that name the row to update; empty where rows are inserted. */
  readonly key: readonly string[]
  /** More assignments of an update; what an insert does where the row exists. */
  readonly more: string
}

/** The statement of each kind of write in one engine, made when it is first needed. */
export function statementsOf(make: (write: Write) => string): (write: Write) => string {
  const texts = new WeakMap<Write, string>()
  return (write) => {
    const known = texts.get(write)
    if (known !== undefined) return known
    const made = make(write)
    texts.set(write, made)
    return made
  }
}

export type Value = string | number | null

export type ColumnOf<Table extends keyof Schema> = keyof Schema[Table] & string

export function inserts<Table extends keyof Schema>(
  table: Table,
  columns: readonly ColumnOf<Table>[],
  more = '',
): Write {
  return { table, columns, key: [], more }
}

/** @param set the columns that change */
export function updates<Table extends keyof Schema>(
  table: Table,
  set: readonly ColumnOf<Table>[],
  key: readonly ColumnOf<Table>[],
  more = '',
): Write {
  return { table, columns: [...set, ...key], key, more }
}
