import type { Transaction } from 'kysely'
import type { ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts, updates, type Value } from '#storage/schema/write.ts'
import type { Draft } from './draft.ts'
import { type ProfileColumns, profileColumns, type StoredUser, toColumns } from './rows.ts'

/** Rows that are written by one statement. */
interface Written {
  readonly isNew: boolean
  readonly columns: readonly (keyof ProfileColumns)[]
  readonly rows: Value[][]
}

/**
 * Of a new user the columns that hold something are written, of others those that differ: a value that is left out need
 * not be bound, and an index over it is left alone.
 */
export async function saveProfiles(
  trx: Transaction<Schema>,
  { many }: { readonly many: ManyRows },
  drafts: readonly Draft[],
): Promise<void> {
  const written = new Map<string, Written>()
  // Most users of one call have the same columns.
  let last: Written | undefined
  for (const draft of drafts) {
    const row = toColumns(draft.profile, draft)
    if (!last || !fits(last, row, draft.row)) last = writtenIn(written, row, draft.row)
    const values: Value[] = []
    for (const name of last.columns) values.push(row[name])
    if (draft.row) values.push(draft.id)
    last.rows.push(values)
  }
  for (const { isNew, columns, rows } of written.values()) {
    if (columns.length === 0) continue
    await many.write(trx, isNew ? inserts('users', columns) : updates('users', columns, ['id']), rows)
  }
}

function fits({ isNew, columns }: Written, row: ProfileColumns, before: StoredUser | undefined): boolean {
  if (isNew !== (before === undefined)) return false
  let next = 0
  for (const name of profileColumns) {
    const isWritten = row[name] !== (before ? before[name] : null)
    if (isWritten !== (columns[next] === name)) return false
    if (isWritten) next += 1
  }
  return true
}

function writtenIn(
  written: Map<string, Written>,
  row: ProfileColumns,
  before: StoredUser | undefined,
): Written {
  const isNew = before === undefined
  const columns = profileColumns.filter((name) => row[name] !== (before ? before[name] : null))
  const key = `${isNew} ${columns.join()}`
  const same = written.get(key) ?? { isNew, columns, rows: [] }
  written.set(key, same)
  return same
}
