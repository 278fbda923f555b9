import type { AdminParts } from '#admin/request/context.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { type BulkRun, type BulkStep, noProgress } from '#core/bulk-run.ts'
import type { By } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import type { User } from '#core/user.ts'
import type { UserCursor, UserPage } from '#core/user-list.ts'
import type { BulkAction } from './schemas.ts'
import type { BulkTarget } from './wire.ts'

/** Users in a transaction: a few milliseconds of the writer's time. */
export const batchUsers = 200
/** How long one call works; the next one goes on. */
export const callMs = 10_000

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

/** Where a batch counts from. */
export function placeOf({ id: runId, state, progress }: BulkRun): Pick<BulkStep, 'runId' | 'before'> {
  return { runId, before: { state, progress } }
}

/** The run as it is now, after another call has gone on with it. */
export async function readAgain({ id }: BulkRun, { store }: BulkParts): Promise<BulkRun> {
  const run = await store.bulk.findRun(id)
  if (!run) throw new Error('a bulk run is gone while it goes on')
  return run
}

/** A run that would begin now. */
export function newRun(
  action: BulkAction,
  target: BulkTarget,
): Pick<BulkRun, 'action' | 'target' | 'progress'> {
  return { action, target, progress: noProgress }
}
