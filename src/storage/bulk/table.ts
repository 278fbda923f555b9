import type { Kysely, Transaction } from 'kysely'
import { type BulkStep, undoForMs } from '#core/bulk-run.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import { chunksOf, type ManyRows } from '#storage/many-rows.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { inserts } from '#storage/schema/write.ts'
import type { BulkStore } from '#storage/store.ts'
import { toProgressColumns, toRun, toUndo } from './rows.ts'

const dayMs = 86_400_000
const runsKeptMs = 90 * dayMs
/** Rows that a new run removes of old ones; the next removes more. */
const removedAtOnce = 2_000

const change = inserts(
  'bulk_changes',
  ['run_id', 'user_id', 'undo'],
  'on conflict (run_id, user_id) do nothing',
)

/** Bulk runs: written with the batches that they consist of, and read to go on or to undo. */
export function createBulkTable(db: Kysely<Schema>, saveChanges: SaveChanges) {
  return {
    reads: {
      async findRun(id) {
        const row = await db.selectFrom('bulk_runs').selectAll().where('id', '=', id).executeTakeFirst()
        return row && toRun(row)
      },

      async findChanged(runId, userIds) {
        const found: string[] = []
        for (const ids of chunksOf(userIds))
          for (const row of await db
            .selectFrom('bulk_changes')
            .select('user_id')
            .where('run_id', '=', runId)
            .where('user_id', 'in', ids)
            .execute())
            found.push(row.user_id)
        return found
      },

      async listUndo(runId, limit) {
        const rows = await db
          .selectFrom('bulk_changes')
          .select(['user_id', 'undo'])
          .where('run_id', '=', runId)
          .orderBy('user_id')
          .limit(limit)
          .execute()
        return rows.map((row) => ({ userId: row.user_id, undo: toUndo(row.undo) }))
      },

      async listRuns(limit) {
        const rows = await db.selectFrom('bulk_runs').selectAll().orderBy('id', 'desc').limit(limit).execute()
        return rows.map(toRun)
      },
    },
    writes: {
      insertRun: ({ action, target, actor, matched }, by) =>
        db.transaction().execute(async (trx) => {
          const { now } = by
          await removeOld(trx, now)
          const id = createSortableId('blk_', now)
          const row = await trx
            .insertInto('bulk_runs')
            .values({
              id,
              action: JSON.stringify(action),
              target: JSON.stringify(target),
              actor,
              state: 'running',
              matched,
              created_at: now,
              updated_at: now,
            })
            .returningAll()
            .executeTakeFirstOrThrow()
          // The run as a whole; each user whom it changes has a row as well.
          await saveChanges(trx, [{ by, kind: 'bulk.begun', object: id, after: { action, target, matched } }])
          return toRun(row)
        }),

      saveStep: (step, by) =>
        db.transaction().execute(async (trx) => {
          if (!(await noteStep(trx, undefined, step, by.now))) return false
          const { undone, kept } = step.progress
          if (step.state === 'undone')
            await saveChanges(trx, [{ by, kind: 'bulk.undone', object: step.runId, after: { undone, kept } }])
          return true
        }),
    },
  } satisfies MethodGroups<BulkStore>
}

/**
 * Notes what a batch does, in the transaction of the batch and before it: of two calls that go on with one run the later
 * one waits here for the other, and then is told false.
 */
export async function noteStep(
  trx: Transaction<Schema>,
  many: ManyRows | undefined,
  { runId, before, state, progress, changes = [], settled = [] }: BulkStep,
  now: number,
): Promise<boolean> {
  if (!(await moveOn(trx, { runId, before, state, progress }, now))) return false

  if (changes.length > 0) {
    if (!many) throw new Error('changes of a bulk run are written with their users')
    const rows = changes.map(({ userId, undo }) => [runId, userId, JSON.stringify(undo)])
    await many.write(trx, change, rows)
  }
  for (const ids of chunksOf(settled))
    await trx.deleteFrom('bulk_changes').where('run_id', '=', runId).where('user_id', 'in', ids).execute()
  return true
}

/** Each step changes the state, the position or a count, so that these say where a run is. */
async function moveOn(
  trx: Transaction<Schema>,
  { runId, before, state, progress }: BulkStep,
  now: number,
): Promise<boolean> {
  const { errors: _, position, ...counts } = toProgressColumns(before.progress)
  let query = trx
    .updateTable('bulk_runs')
    .set({ ...toProgressColumns(progress), state, updated_at: now })
    .where('id', '=', runId)
    .where('state', '=', before.state)
    .where('position', position === null ? 'is' : '=', position)
  for (const name of countNames) query = query.where(name, '=', counts[name])
  const moved = await query.executeTakeFirstOrThrow()
  return Number(moved.numUpdatedRows) > 0
}

const countNames = ['changed', 'unchanged', 'failed', 'undone', 'kept'] as const

/** What cannot be undone any more, a piece at a time, and runs of long ago. */
async function removeOld(trx: Transaction<Schema>, now: number): Promise<void> {
  const old = await trx
    .selectFrom('bulk_changes')
    .innerJoin('bulk_runs', 'bulk_runs.id', 'bulk_changes.run_id')
    .select(['run_id', 'user_id'])
    .where('bulk_runs.updated_at', '<', now - Math.max(dayMs, undoForMs))
    .limit(removedAtOnce)
    .execute()
  for (const [runId, rows] of Map.groupBy(old, (row) => row.run_id))
    for (const some of chunksOf(rows))
      await trx
        .deleteFrom('bulk_changes')
        .where('run_id', '=', runId)
        .where(
          'user_id',
          'in',
          some.map((row) => row.user_id),
        )
        .execute()
  if (old.length === 0)
    await trx
      .deleteFrom('bulk_runs')
      .where('updated_at', '<', now - runsKeptMs)
      .execute()
}
