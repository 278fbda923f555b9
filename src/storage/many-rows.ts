import type { Kysely } from 'kysely'
import type { Schema } from '#storage/schema/tables.ts'
import type { Value, Write } from '#storage/schema/write.ts'

/**
 * Statements over any number of rows, on the connection of a transaction. Each engine passes a list in its own way; the
 * text is the same for any length, so that it is prepared once.
 */
export interface ManyRows {
  /**
   * Runs a statement about a list of keys. In its text `{in}` follows an expression and compares it with the list, and
   * `{lock}` locks the rows of `users` in the order of their ids.
   */
  readonly query: <Row>(db: Kysely<Schema>, text: string, keys: readonly string[]) => Promise<readonly Row[]>
  /** Whether `{lock}` does anything: SQLite has one writer at a time. */
  readonly locksRows: boolean
  /** Changes with every commit of another connection; absent where the engine cannot tell. */
  readonly version?: () => unknown
  readonly write: (db: Kysely<Schema>, write: Write, rows: readonly (readonly Value[])[]) => Promise<void>
}

/** The most keys of one statement: a few thousand rows are held at once. */
const keysAtOnce = 1_000

/** Splits a list of keys or rows. */
export function chunksOf<T>(items: readonly T[], size = keysAtOnce): (readonly T[])[] {
  if (items.length <= size) return items.length === 0 ? [] : [items]
  const chunks: T[][] = []
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size))
  return chunks
}
