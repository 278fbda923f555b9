import { toWireIssues } from '#admin/users/input.ts'
import type { BulkProgress, BulkRun, BulkStep } from '#core/bulk-run.ts'
import type { By } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import { issuesMax } from '#core/issues.ts'
import type { User } from '#core/user.ts'
import type { BatchDone, UserStore } from '#storage/store/users.ts'
import { type BulkParts, batchUsers, callMs, lostIssue, placeOf, readAgain, readBatch } from './batch.ts'
import { type Planned, planFor } from './plan.ts'
import type { BulkAction } from './schemas.ts'
import { limitsOf } from './wire.ts'

/** Goes on with a run until it is done, or the time of one call is over. Each user is changed once. */
export async function advance(run: BulkRun, parts: BulkParts): Promise<BulkRun> {
  const until = performance.now() + callMs
  let current = run
  while (current.state === 'running' && performance.now() < until)
    current = await advanceBatch(current, parts)
  if ((current.action as BulkAction).kind === 'purge') await removeTraces(parts, until)
  return current
}

/** Of users who were purged; upkeep removes what is left at the end of the call. */
async function removeTraces({ store }: BulkParts, until: number): Promise<void> {
  let isLeft = true
  while (isLeft && performance.now() < until)
    isLeft = (await store.upkeep.purgeTraces(undefined, batchUsers)) > 0
}

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
    const step = { ...placeOf(run), state, progress } as const
    if (edits.length === 0) {
      const isOurs = await store.bulk.saveStep(step, by)
      return isOurs ? { ...run, state, progress, updatedAt: now } : readAgain(run, parts)
    }
    const changes = edits.map(({ user, plan }) => ({ userId: user.id, undo: plan.changes }))
    const result = await write(store.users, { action, edits, by, step: { ...step, changes } })
    if (result.kind === 'written') return { ...run, state, progress, updatedAt: now }
    if (result.kind === 'overtaken') return readAgain(run, parts)
    const refused = result.kind === 'invalid' ? edits[result.index] : undefined
    if (result.kind === 'invalid' && refused) wrong.set(refused.user.id, toWireIssues(result.issues))
  }
}

interface Batched {
  readonly action: BulkAction
  readonly edits: readonly {
    readonly user: User
    readonly plan: Extract<Planned, { readonly kind: 'edit' }>
  }[]
  readonly by: By
  readonly step: BulkStep
}

function write(users: UserStore, { action, edits, by, step }: Batched): Promise<BatchDone> {
  switch (action.kind) {
    case 'rotate': {
      const rotations = edits.map(({ user }) => ({ id: user.id, expectedRevision: user.revision }))
      return users.rotateBatch(rotations, action.previousUntil ?? undefined, by, step)
    }
    case 'purge':
      return users.purgeBatch(
        edits.map(({ user }) => user.id),
        by,
        step,
      )
    default: {
      const writes = edits.map(({ user, plan }) => ({
        ref: { id: user.id },
        edit: plan.edit,
        expectedRevision: user.revision,
      }))
      return users.editBatch(writes, by, step)
    }
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
