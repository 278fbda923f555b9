import type { ChangeHeadRow, ChangeRow } from '#storage/schema/tables.ts'
import type { Value } from '#storage/schema/write.ts'
import { changeColumns, headColumns, headId } from './chain.ts'
import { toHead } from './head.ts'

/** The statements by which a batch of the ledger writes changes, for an engine that executes them itself. */
export interface ChangeStatements {
  /** Answers the head's columns, and the newest row; no row before the first change. */
  readonly head: string
  /** The newest row, where there is no head. */
  readonly last: string
  readonly insert: string
  readonly saveHead: string
}

/** @param placeOf the placeholder of the value with this number, from 1 */
export function changeStatements(placeOf: (number: number) => string, lock = ''): ChangeStatements {
  const valuesOf = (columns: readonly string[]) => columns.map((_, index) => placeOf(index + 1)).join(', ')
  const sets = headColumns.filter((name) => name !== 'id').map((name) => `${name} = excluded.${name}`)
  return {
    head: `select ${headColumns.join(', ')}, (select max(seq) from changes) from change_head where id = '${headId}' ${lock}`,
    last: 'select max(seq) from changes',
    insert: `insert into changes (${changeColumns.join(', ')}) values (${valuesOf(changeColumns)})`,
    saveHead: `insert into change_head (${headColumns.join(', ')}) values (${valuesOf(headColumns)}) on conflict (id) do update set ${sets.join(', ')}`,
  }
}

export function changeValues(row: ChangeRow): Value[] {
  return changeColumns.map((name) => row[name])
}

export function headValues(head: ChangeHeadRow): Value[] {
  return headColumns.map((name) => head[name])
}

/** The head in a row that `head` has answered. */
export function headIn(row: readonly unknown[]): ChangeHeadRow {
  const named = Object.fromEntries(headColumns.map((name, index) => [name, row[index]]))
  return toHead(named as Record<keyof ChangeHeadRow, unknown>)
}
