import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { createStopper } from '#lib/stopper.ts'
import { keptLookupsName } from '#storage/keys/kept-lookups.ts'
import type { Values } from '#storage/ledger/rows.ts'
import { belowName } from '#storage/ledger/user-requests.ts'
import { integer, text } from '#storage/schema/columns.ts'
import { columnTypeOf, type MovedTable, type Sums, sumsOf } from '#storage/schema/moved-table.ts'
import { holdFile } from '#storage/sqlite/hold.ts'
import { migrateSqlite } from '#storage/sqlite/migrate.ts'
import { allExact } from '#storage/sqlite/rows.ts'
import { readNote, removeNote, writeNote } from './moved.ts'

/** The embedded database as the source of a move: locked for this process, at the current schema. */
export interface MoveSource {
  /** All tables that hold users and their account, as in the schema. */
  readonly tables: readonly MovedTable[]
  /** Identifies the source's state; changes whenever a server or a command has used the database. */
  readonly state: string
  /** The rows of the metadata table that belong to the moved data, by name. */
  readonly metadata: Readonly<Record<string, string>>
  readonly count: (table: MovedTable) => number
  /** The next rows after the one whose key is `after`. */
  readonly read: (table: MovedTable, after: Values | undefined, limit: number) => readonly Values[]
  readonly sums: (table: MovedTable) => Sums
  /** Marks everything as moved: this database must not be used any more. */
  readonly leave: (where: string) => void
  readonly close: () => Promise<void>
}

class AlreadyMoved extends Error {
  constructor(where: string) {
    super(`everything was moved to ${where} before; to do it again, run migrate-store --undo first`)
    this.name = 'AlreadyMoved'
  }
}

/** Tables that are not copied: each database has its own. */
const ownTables: ReadonlySet<string> = new Set(['migrations', 'facts', 'instances'])
const cacheKb = 65_536

async function openDatabase(path: string): Promise<{ db: DatabaseSync; close: () => Promise<void> }> {
  if (!existsSync(path)) throw new Error(`there is no database at ${path}`)
  const stopper = createStopper()
  try {
    stopper.add(holdFile(`${path}.lock`))
    const db = new DatabaseSync(path)
    stopper.add(() => db.close())
    db.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -${cacheKb}`)
    await migrateSqlite(db)
    return { db, close: stopper.stop }
  } catch (error) {
    await stopper.stop()
    throw error
  }
}

/** Throws with one sentence where there is no database, another process uses it, or it was moved already. */
export async function openMoveSource(path: string): Promise<MoveSource> {
  const { db, close } = await openDatabase(path)
  try {
    return sourceOf(db, close)
  } catch (error) {
    await close()
    throw error
  }
}

function sourceOf(db: DatabaseSync, close: () => Promise<void>): MoveSource {
  const rowsOf = (query: string, ...values: SQLInputValue[]): readonly Values[] => {
    const statement = db.prepare(query)
    statement.setReturnArrays(true)
    return allExact(statement, ...values)
  }
  const tables = rowsOf("select name from sqlite_schema where type = 'table' order by name")
    .map(([name]) => text(name))
    .filter((name) => !ownTables.has(name) && !name.startsWith('sqlite_'))
    .map((name) => tableOf(name, rowsOf('select name, type, pk from pragma_table_info(?)', name)))
  const metadata = Object.fromEntries(
    rowsOf(
      'select name, value from facts where name in (?, ?, ?)',
      ...['master_key', keptLookupsName, belowName],
    ).map(([name, value]) => [text(name), text(value)]),
  )
  if (metadata.master_key === undefined) throw new Error('nothing was ever in this database')
  const moved = readNote(db, 'moved')
  if (moved !== undefined) throw new AlreadyMoved(moved)
  const known = readNote(db, 'moving')
  const state = known ?? randomUUID()
  if (known === undefined) writeNote(db, 'moving', state)
  return {
    tables,
    state,
    metadata,
    count: ({ name }) => integer(rowsOf(`select count(*) from ${name}`)[0]?.[0]),
    read({ name, columns, key }, after, limit) {
      const from = after ? `where (${key.join(', ')}) > (${key.map(() => '?').join(', ')})` : ''
      const wanted = columns.map((column) => column.name).join(', ')
      const values = (after ?? []) as SQLInputValue[]
      return rowsOf(
        `select ${wanted} from ${name} ${from} order by ${key.join(', ')} limit ?`,
        ...values,
        limit,
      )
    },
    sums: (table) => (rowsOf(sumsOf(table))[0] ?? []).map(integer),
    leave(where) {
      writeNote(db, 'moved', where)
      removeNote(db, 'moving')
    },
    close,
  }
}

function tableOf(name: string, columns: readonly Values[]): MovedTable {
  const key = columns
    .map(([column, , place]) => ({ column: text(column), place: integer(place) }))
    .filter(({ place }) => place > 0)
    .sort((one, other) => one.place - other.place)
  return {
    name,
    columns: columns.map(([column, type]) => ({ name: text(column), type: columnTypeOf(text(type)) })),
    key: key.map(({ column }) => column),
  }
}

/** Allows a moved database to be used again; false where it was not moved. */
export async function takeBack(path: string): Promise<boolean> {
  const { db, close } = await openDatabase(path)
  try {
    removeNote(db, 'moving')
    return removeNote(db, 'moved')
  } finally {
    await close()
  }
}
