import type { Issue } from './errors.ts'

/** A bulk action on users as far as it has come. */
export interface BulkRun {
  readonly id: string
  /** The action and the users that it is for, as JSON values that the control plane reads. */
  readonly action: unknown
  readonly target: unknown
  /** The name of the admin key that began it. */
  readonly actor: string
  readonly state: BulkState
  /** How many users it was for when it began. */
  readonly matched: number
  readonly progress: BulkProgress
  readonly createdAt: number
  readonly updatedAt: number
}

/** `undoing`: taking it back has begun, and nothing more is changed. */
export type BulkState = 'running' | 'done' | 'undoing' | 'undone'
export const bulkStates: readonly BulkState[] = ['running', 'done', 'undoing', 'undone']

export interface BulkProgress {
  readonly changed: number
  readonly unchanged: number
  readonly failed: number
  /** Of the changed ones, those that were taken back, and those that were changed by others since. */
  readonly undone: number
  readonly kept: number
  /** Where it goes on; absent at the start. */
  readonly position?: unknown
  /** The first of them. */
  readonly errors: readonly (Issue & { readonly user: string })[]
}

export const noProgress: BulkProgress = {
  changed: 0,
  unchanged: 0,
  failed: 0,
  undone: 0,
  kept: 0,
  errors: [],
}

/** One field that an action changed, with its value before and after; null where it was not set. */
export interface FieldUndo {
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

/**
 * What a batch of a run adds to it, in the transaction of the batch. It counts from `before`: where the run is not there
 * any more, another call has gone on with it, and nothing is done.
 */
export interface BulkStep {
  readonly runId: string
  readonly before: Pick<BulkRun, 'state' | 'progress'>
  readonly state: BulkState
  readonly progress: BulkProgress
  /** Users that the batch changes, with what undoes that. */
  readonly changes?: readonly { readonly userId: string; readonly undo: readonly FieldUndo[] }[]
  /** Users that are done with, when a run is undone. */
  readonly settled?: readonly string[]
}

/** How long a run can be undone after its last change. */
export const undoForMs = 3_600_000
