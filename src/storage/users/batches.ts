import type { Kysely, Transaction } from 'kysely'
import type { BulkStep } from '#core/bulk-run.ts'
import type { By } from '#core/change.ts'
import { runningIssue } from '#core/user.ts'
import { noteStep } from '#storage/bulk/table.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { BatchDone, Rotation, UserStore } from '#storage/store/users.ts'
import { applyWrites, type UserWriting } from './apply-writes.ts'
import { loadDrafts } from './draft-rows.ts'
import { inTransaction } from './in-transaction.ts'
import { purgeUsers } from './purge.ts'
import { replaceTokens } from './rotate.ts'

type Batches = Pick<UserStore, 'editBatch' | 'rotateBatch' | 'purgeBatch'>

/**
 * The batches of bulk runs: the users, their changes and the progress of the run are one transaction. Locks are taken in
 * the order of run, users, head of the changes, as everywhere.
 */
export function createBatches(db: Kysely<Schema>, writing: UserWriting): Batches {
  const batch = (by: By, step: BulkStep, work: (trx: Transaction<Schema>) => Promise<BatchDone>) =>
    inTransaction(db, 'written', async (trx): Promise<BatchDone> => {
      if (!(await noteStep(trx, writing.many, step, by.now))) return { kind: 'overtaken' }
      return work(trx)
    })
  return {
    editBatch: (writes, by, step) =>
      batch(by, step, async (trx) => {
        const result = await applyWrites(trx, writing, writes, by)
        if (result.kind === 'invalid') return result
        return { kind: result.kind === 'written' ? 'written' : 'stale' }
      }),

    rotateBatch: (rotations, previousUntil, by, step) =>
      batch(by, step, async (trx) => ({
        kind: (await rotateAll(trx, writing, rotations, { previousUntil, by })) ? 'written' : 'stale',
      })),

    purgeBatch: (ids, by, step) =>
      batch(by, step, async (trx) => {
        const result = await purgeUsers(trx, writing, ids, by)
        if (result.kind === 'running') return { kind: 'invalid', index: result.index, issues: [runningIssue] }
        return { kind: result.kind === 'purged' ? 'written' : 'stale' }
      }),
  }
}

/** False where a user is not as it was read. */
async function rotateAll(
  trx: Transaction<Schema>,
  writing: UserWriting,
  rotations: readonly Rotation[],
  { previousUntil, by }: { readonly previousUntil: number | undefined; readonly by: By },
): Promise<boolean> {
  const ids = rotations.map(({ id }) => id)
  const refs = ids.map((id) => ({ id }))
  const loaded = await loadDrafts(trx, writing, refs, ids, by.now)
  const drafts = rotations.flatMap(({ id, expectedRevision }) => {
    const draft = loaded.get(id)
    return draft?.revision === expectedRevision ? [draft] : []
  })
  if (drafts.length < rotations.length) return false
  const { changes } = await replaceTokens(trx, writing, drafts, previousUntil, by)
  await writing.saveChanges(trx, changes)
  return true
}
