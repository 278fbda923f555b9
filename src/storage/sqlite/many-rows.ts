import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ManyRows } from '#storage/many-rows.ts'
import { statementsOf } from '#storage/schema/write.ts'
import { allNamed } from './rows.ts'
import { statementOf } from './statements.ts'

/** Statements that are kept prepared: those of updates differ by their columns. */
const keptMax = 256

/**
 * Many rows on SQLite. A list of keys is one parameter, a JSON text. Rows are written one by one through a prepared
 * statement: a statement over many rows costs three times as much, and there is no round trip to save.
 */
export function createSqliteRows(db: DatabaseSync): ManyRows {
  const version = db.prepare('pragma data_version')
  const prepared = new Map<string, StatementSync>()
  const textOf = statementsOf(statementOf)

  function prepare(text: string): StatementSync {
    const known = prepared.get(text)
    if (known) return known
    if (prepared.size >= keptMax) prepared.clear()
    const made = db.prepare(text)
    prepared.set(text, made)
    return made
  }

  return {
    locksRows: false,
    version: () => version.get()?.data_version,

    async query<Row>(_: unknown, text: string, keys: readonly string[]) {
      const statement = prepare(text.replace('{in}', inKeys).replace('{lock}', ''))
      // The caller names the columns and their types.
      return allNamed(statement, JSON.stringify(keys)) as unknown as readonly Row[]
    },

    async write(_, write, rows) {
      const statement = prepare(textOf(write))
      for (const row of rows) statement.run(...row)
    },
  }
}

const inKeys = 'in (select value from json_each(?1))'
