import type { Selectable } from 'kysely'
import { type BulkProgress, type BulkRun, bulkStates, type FieldUndo } from '#core/bulk-run.ts'
import { integer } from '#storage/schema/columns.ts'
import type { BulkRunRow } from '#storage/schema/tables.ts'

/** Converts between runs and their rows. A row with an invalid value is a bug, and throws. */
export function toRun(row: Selectable<BulkRunRow>): BulkRun {
  const state = bulkStates.find((known) => known === row.state)
  if (!state) throw new TypeError(`a stored bulk run has the state ${row.state}`)
  return {
    id: row.id,
    action: JSON.parse(row.action),
    target: JSON.parse(row.target),
    actor: row.actor,
    state,
    matched: integer(row.matched),
    progress: {
      changed: integer(row.changed),
      unchanged: integer(row.unchanged),
      failed: integer(row.failed),
      undone: integer(row.undone),
      kept: integer(row.kept),
      errors: listOf(row.errors) as BulkProgress['errors'],
      ...(row.position !== null && { position: JSON.parse(row.position) }),
    },
    createdAt: integer(row.created_at),
    updatedAt: integer(row.updated_at),
  }
}

/** The columns that change while a run goes on. */
export function toProgressColumns({ position, errors, ...counts }: BulkProgress) {
  return {
    ...counts,
    position: position === undefined ? null : JSON.stringify(position),
    errors: JSON.stringify(errors),
  }
}

export function toUndo(text: string): readonly FieldUndo[] {
  return listOf(text) as readonly FieldUndo[]
}

function listOf(text: string): readonly unknown[] {
  const list: unknown = JSON.parse(text)
  if (!Array.isArray(list)) throw new TypeError('a stored list is not a list')
  return list
}
