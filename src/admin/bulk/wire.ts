import { z } from '@hono/zod-openapi'
import { tokenOverlapDaysMax } from '#admin/access-tokens/schemas.ts'
import { type FilterParts, filterParameters, toFilter } from '#admin/users/filter.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { previousUntilIssues } from '#admin/wire/previous-until.ts'
import { unknownFamily } from '#admin/wire/unknown-members.ts'
import { type BulkRun, undoForMs } from '#core/bulk-run.ts'
import type { Issue } from '#core/errors.ts'
import { issuesUnder } from '#core/issues.ts'
import { limitRows } from '#core/limits.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserFilter } from '#core/user-list.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { type BulkAction, bulkSchemas } from './schemas.ts'

/** The users of a bulk action. */
export type BulkTarget =
  | { readonly kind: 'ids'; readonly ids: readonly string[] }
  | { readonly kind: 'filter'; readonly filter: UserFilter }

export interface BulkRequest {
  readonly action: BulkAction
  readonly target: BulkTarget
  readonly isDryRun: boolean
  /** The number of users whom a purge may remove. */
  readonly confirmed?: number
}

const filterSchema = z.object(filterParameters)

export function parseBulk(
  value: unknown,
  wire: UserWire,
  known: FilterParts & { readonly now: number },
): Parsed<BulkRequest> {
  const body = parseBy(bulkSchemas.body, value)
  if (body.kind === 'invalid') return body
  const { action, ids, filter, dryRun = false, confirm } = body.value
  const issues: Issue[] = [...actionIssues(action, wire, known.now)]
  if (action.kind !== 'purge' && confirm !== undefined)
    issues.push({ path: 'confirm', message: 'goes with purge only' })
  if (action.kind === 'purge' && !dryRun && confirm === undefined)
    issues.push({ path: 'confirm', message: 'is required: `matched` of the dry run' })
  if ((ids === undefined) === (filter === undefined))
    issues.push({ path: 'ids', message: 'or filter is required, and not both' })
  const narrowed = parseFilter(filter ?? {}, known)
  if (narrowed.kind === 'invalid') issues.push(...issuesUnder('filter', narrowed.issues))
  if (issues.length > 0 || narrowed.kind === 'invalid') return { kind: 'invalid', issues }
  const target: BulkTarget =
    ids === undefined ? { kind: 'filter', filter: narrowed.value } : { kind: 'ids', ids: [...new Set(ids)] }
  return read({ action, target, isDryRun: dryRun, ...present({ confirmed: confirm }) })
}

function parseFilter(values: Readonly<Record<string, string>>, known: FilterParts): Parsed<UserFilter> {
  const fields = parseBy(filterSchema.strict(), values)
  return fields.kind === 'invalid' ? fields : toFilter(fields.value, known)
}

function actionIssues(action: BulkAction, wire: UserWire, now: number): readonly Issue[] {
  switch (action.kind) {
    case 'setLimits': {
      const names = ['tokenLimits', ...limitRows.map(([name]) => name)]
      const stray = Object.keys(action.limits).filter((name) => !names.includes(name))
      const issues = stray.map((name) => ({
        path: name,
        message: `is no limit; known are ${names.join(', ')}`,
      }))
      const edit = wire.parseEdit(action.limits)
      return issuesUnder('action.limits', [...issues, ...(edit.kind === 'invalid' ? edit.issues : [])])
    }
    case 'addToLimits':
      return familyIssues('action.tokenLimits', Object.keys(action.tokenLimits), wire)
    case 'resetUsage':
      return familyIssues('action.families', action.families ?? [], wire)
    case 'extend':
      return (action.days === undefined) === (action.until === undefined)
        ? [{ path: 'action.days', message: 'or until is required, and not both' }]
        : []
    case 'rotate':
      return issuesUnder('action', previousUntilIssues(action.previousUntil, tokenOverlapDaysMax, now))
    default:
      return []
  }
}

function familyIssues(
  path: string,
  families: readonly string[],
  { familyNames }: UserWire,
): readonly Issue[] {
  return families
    .filter((family) => !familyNames.includes(family))
    .map((family) => ({ path: `${path}.${family.slice(0, 80)}`, message: unknownFamily(familyNames) }))
}

/** The limits that an action sets, as an edit. */
export function limitsOf(action: BulkAction, wire: UserWire): UserEdit {
  if (action.kind !== 'setLimits') return {}
  const edit = wire.parseEdit(action.limits)
  return edit.kind === 'read' ? edit.value.edit : {}
}

/** A run as answers show it. */
export function toBulkRun(run: BulkRun) {
  const { id, action, actor, state, matched, progress, createdAt, updatedAt } = run
  const { position: _, errors, ...counts } = progress
  const isOpen =
    state !== 'undone' &&
    progress.changed > progress.undone + progress.kept &&
    whyNotUndone(run) === undefined
  return {
    ...{ id, dryRun: false, state, action, by: actor, matched, ...counts, createdAt },
    errors: [...errors],
    ...(isOpen && { undoUntil: updatedAt + undoForMs }),
  }
}

/** Why some kinds of actions cannot be undone, in a sentence for the administrator. */
const final: Readonly<Partial<Record<BulkAction['kind'], string>>> = {
  resetUsage: 'Usage that was reset cannot be taken back.',
  rotate:
    'Access tokens stay replaced: the earlier ones work until the end of their grace, and cannot be put back.',
  purge: 'What was purged is gone.',
}

/** Why the action of a run cannot be undone; undefined where it can be. */
export function whyNotUndone({ action }: Pick<BulkRun, 'action'>): string | undefined {
  // Written by us, from an action that was checked.
  return final[(action as BulkAction).kind]
}
