import type { BulkRun } from '#core/bulk-run.ts'
import type { UserWrite } from '#storage/store/users.ts'
import { type BulkParts, batchUsers, callMs, placeOf, readAgain } from './batch.ts'
import { undoFor } from './plan.ts'

/** Takes back what a run has changed, until all is done, or the time of one call is over. */
export async function takeBack(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const until = performance.now() + callMs
  let current = run
  while (current.state !== 'undone' && performance.now() < until)
    current = await takeBackBatch(current, parts)
  return current
}

async function takeBackBatch(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const { store, by: asker } = parts
  const from = placeOf(run)
  for (;;) {
    const rows = await store.bulk.listUndo(run.id, batchUsers)
    const by = asker()
    const { now } = by
    if (rows.length === 0) {
      const isOurs = await store.bulk.saveStep({ ...from, state: 'undone', progress: run.progress }, by)
      return isOurs ? { ...run, state: 'undone', updatedAt: now } : readAgain(run, parts)
    }
    const ids = rows.map(({ userId }) => userId)
    const { users } = await store.users.listUsers({ filter: { ids }, limit: ids.length, now })
    const byId = new Map(users.map((user) => [user.id, user]))
    const writes = rows.flatMap(({ userId, undo }): readonly UserWrite[] => {
      const user = byId.get(userId)
      const edit = user && undoFor(user, undo)
      return user && edit ? [{ ref: { id: userId }, edit, expectedRevision: user.revision }] : []
    })
    const { undone, kept } = run.progress
    const progress = {
      ...run.progress,
      undone: undone + writes.length,
      kept: kept + rows.length - writes.length,
    }
    const step = { ...from, state: 'undoing', progress, settled: ids } as const
    if (writes.length === 0) {
      if (!(await store.bulk.saveStep(step, by))) return readAgain(run, parts)
    } else {
      const result = await store.users.editBatch(writes, by, step)
      if (result.kind === 'overtaken') return readAgain(run, parts)
      if (result.kind === 'stale') continue
      if (result.kind === 'invalid') {
        // It cannot go back as it was: it is left as it is, and the others go on without it.
        const wrong = idOf(writes[result.index])
        const rest = { ...run.progress, kept: kept + 1 }
        const alone = { ...step, progress: rest, settled: ids.filter((id) => id === wrong) }
        if (!(await store.bulk.saveStep(alone, by))) return readAgain(run, parts)
        return { ...run, state: 'undoing', progress: rest, updatedAt: now }
      }
    }
    return { ...run, state: 'undoing', progress, updatedAt: now }
  }
}

function idOf(write: UserWrite | undefined): string {
  return write && 'id' in write.ref ? write.ref.id : ''
}
