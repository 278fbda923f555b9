import type { AdminParts } from '#admin/request/context.ts'
import { toWireIssues } from '#admin/users/input.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { type BulkProgress, type BulkRun, noProgress } from '#core/bulk-run.ts'
import type { By } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import { issuesMax } from '#core/issues.ts'
import type { User } from '#core/user.ts'
import type { UserCursor, UserPage } from '#core/user-list.ts'
import type { UserWrite } from '#storage/store/users.ts'
import { type Planned, planFor, undoFor } from './plan.ts'
import type { BulkAction } from './schemas.ts'
import { type BulkTarget, limitsOf } from './wire.ts'

/** Users in a transaction: a few milliseconds of the writer's time. */
const batchUsers = 200
/** How long one call works; the next one goes on. */
const callMs = 10_000

export type BulkParts = Pick<AdminParts, 'store' | 'policy' | 'clock'> & {
  readonly wire: UserWire
  /** Who asks, at this instant. */
  readonly by: () => By
}

interface Batch {
  readonly users: readonly User[]
  /** Ids of which there is no user, or no readable one. */
  readonly lost: readonly string[]
  /** Where the run is after it; absent after the last. */
  readonly position?: unknown
}

/** Goes on with a run until it is done, or the time of one call is over. Each user is changed once. */
export async function advance(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const until = performance.now() + callMs
  let current = run
  while (current.state === 'running' && performance.now() < until)
    current = await advanceBatch(current, parts)
  return current
}

/** The users that come next in a run; the first of them for one that has not begun. */
export async function readBatch(
  run: Pick<BulkRun, 'target' | 'progress'>,
  { store, clock }: BulkParts,
  limit = batchUsers,
): Promise<Batch> {
  // Written by us, from a target that was checked.
  const target = run.target as BulkTarget
  const now = clock()
  if (target.kind === 'ids') {
    const from = (run.progress.position as number | undefined) ?? 0
    const ids = target.ids.slice(from, from + limit)
    if (ids.length === 0) return { users: [], lost: [] }
    const { users } = await store.users.listUsers({ filter: { ids }, limit: ids.length, now })
    const found = new Set(users.map(({ id }) => id))
    const next = from + ids.length
    return {
      users,
      lost: ids.filter((id) => !found.has(id)),
      ...(next < target.ids.length && { position: next }),
    }
  }
  const after = run.progress.position as UserCursor | undefined
  const page: UserPage = await store.users.listUsers({
    filter: target.filter,
    limit,
    now,
    ...(after && { after }),
  })
  return { users: page.users, lost: page.unreadable ?? [], ...(page.next && { position: page.next }) }
}

export const lostIssue: Issue = { path: '', message: 'is not known, or its stored row is damaged' }

async function advanceBatch(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const { store, policy, wire } = parts
  const action = run.action as BulkAction
  const limits = limitsOf(action, wire)
  const wrong = new Map<string, readonly Issue[]>()
  // What changes between reading and writing is read again; a user who is wrong is left out.
  for (;;) {
    const { users, lost, position } = await readBatch(run, parts)
    const done = new Set(
      users.length === 0
        ? []
        : await store.bulk.findChanged(
            run.id,
            users.map(({ id }) => id),
          ),
    )
    const by = parts.by()
    const { now } = by
    const planned = users
      .filter(({ id }) => !done.has(id))
      .map((user) => ({
        user,
        plan: wrongOr(wrong.get(user.id), () => planFor(user, action, { policy, limits, now })),
      }))
    const edits = planned.flatMap(({ user, plan }) => (plan.kind === 'edit' ? [{ user, plan }] : []))
    const failed = [
      ...lost.map((user) => ({ user, ...lostIssue })),
      ...planned.flatMap(({ user, plan }) =>
        plan.kind === 'invalid' ? plan.issues.slice(0, 1).map((issue) => ({ user: user.id, ...issue })) : [],
      ),
    ]
    const progress = added(run.progress, {
      changed: edits.length,
      unchanged: planned.filter(({ plan }) => plan.kind === 'unchanged').length,
      failed,
      position,
    })
    const state = position === undefined ? 'done' : 'running'
    const step = { runId: run.id, state, progress } as const
    const writes = edits.map(
      ({ user, plan }): UserWrite => ({
        ref: { id: user.id },
        edit: plan.edit,
        expectedRevision: user.revision,
      }),
    )
    if (writes.length === 0) {
      await store.bulk.saveStep(step, by)
      return { ...run, state, progress, updatedAt: now }
    }
    const changes = edits.map(({ user, plan }) => ({ userId: user.id, undo: plan.changes }))
    const result = await store.users.writeUsers(writes, by, { ...step, changes })
    if (result.kind === 'written') return { ...run, state, progress, updatedAt: now }
    const refused = edits[result.index]
    if (result.kind === 'invalid' && refused) wrong.set(refused.user.id, toWireIssues(result.issues))
  }
}

function wrongOr(issues: readonly Issue[] | undefined, plan: () => Planned): Planned {
  return issues ? { kind: 'invalid', issues } : plan()
}

function added(
  before: BulkProgress,
  batch: {
    readonly changed: number
    readonly unchanged: number
    readonly failed: BulkProgress['errors']
    readonly position: unknown
  },
): BulkProgress {
  const { position: _, ...counts } = before
  return {
    ...counts,
    changed: before.changed + batch.changed,
    unchanged: before.unchanged + batch.unchanged,
    failed: before.failed + batch.failed.length,
    errors: [...before.errors, ...batch.failed].slice(0, issuesMax),
    ...(batch.position !== undefined && { position: batch.position }),
  }
}

/** Takes back what a run has changed, until all is done, or the time of one call is over. */
export async function takeBack(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const until = performance.now() + callMs
  let current: BulkRun = { ...run, state: 'undoing' }
  while (current.state === 'undoing' && performance.now() < until)
    current = await takeBackBatch(current, parts)
  return current
}

async function takeBackBatch(run: BulkRun, { store, by: asker }: BulkParts): Promise<BulkRun> {
  for (;;) {
    const rows = await store.bulk.listUndo(run.id, batchUsers)
    const by = asker()
    const { now } = by
    if (rows.length === 0) {
      await store.bulk.saveStep({ runId: run.id, state: 'undone', progress: run.progress }, by)
      return { ...run, state: 'undone', updatedAt: now }
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
    const step = { runId: run.id, state: 'undoing', progress, settled: ids } as const
    if (writes.length === 0) await store.bulk.saveStep(step, by)
    else {
      const result = await store.users.writeUsers(writes, by, step)
      if (result.kind === 'stale' || result.kind === 'unknown') continue
      if (result.kind === 'invalid') {
        // It cannot go back as it was: it is left as it is, and the others go on without it.
        const settled = ids[ids.indexOf(idOf(writes[result.index]))]
        const rest = { ...run.progress, kept: kept + 1 }
        await store.bulk.saveStep({ ...step, progress: rest, settled: settled ? [settled] : [] }, by)
        return { ...run, progress: rest, updatedAt: now }
      }
    }
    return { ...run, progress, updatedAt: now }
  }
}

function idOf(write: UserWrite | undefined): string {
  return write && 'id' in write.ref ? write.ref.id : ''
}

/** A run that would begin now. */
export function newRun(
  action: BulkAction,
  target: BulkTarget,
): Pick<BulkRun, 'action' | 'target' | 'progress'> {
  return { action, target, progress: noProgress }
}
