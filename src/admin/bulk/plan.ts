import { isDeepStrictEqual } from 'node:util'
import { type Policy, viewQuota } from '#core/admission.ts'
import type { FieldUndo } from '#core/bulk-run.ts'
import type { Issue } from '#core/errors.ts'
import { tagsMax } from '#core/tags.ts'
import { unitsMax } from '#core/units.ts'
import { runningIssue, UNLIMITED, type User } from '#core/user.ts'
import { disableEdit, type UserEdit } from '#core/user-edit.ts'
import type { BulkAction } from './schemas.ts'

/**
 * What an action does to one user, as fields with their value before and after. From the same fields follow the edit, the
 * dry run and what undoes it: a field goes back only where it still has the value that the action gave it.
 */
export type Planned =
  | { readonly kind: 'edit'; readonly edit: UserEdit; readonly changes: readonly FieldUndo[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }

export interface PlanParts {
  readonly policy: Policy
  /** The limits of `setLimits`, read as an edit. */
  readonly limits: UserEdit
  readonly now: number
}

const dayMs = 86_400_000

type Values = ReadonlyMap<string, unknown>

export function planFor(user: User, action: BulkAction, parts: PlanParts): Planned {
  if (action.kind === 'resetUsage') return planReset(user, action.families)
  if (action.kind === 'rotate') return planRotation(action.previousUntil, parts.now)
  if (action.kind === 'purge') return planPurge(user)
  const values = valuesFor(user, action, parts)
  const tags = values.get('tags')
  if (Array.isArray(tags) && tags.length > tagsMax)
    return { kind: 'invalid', issues: [{ path: 'tags', message: `would be more than ${tagsMax}` }] }
  const changes = [...values].flatMap(([path, after]) => {
    const before = fieldOf(user, path)
    return isDeepStrictEqual(before, after) ? [] : [{ path, before, after }]
  })
  if (changes.length === 0) return { kind: 'unchanged' }
  return { kind: 'edit', edit: editOf(changes.map(({ path, after }) => [path, after])), changes }
}

/** The edit that takes back what is still as the action left it; undefined where nothing is. */
export function undoFor(user: User, undo: readonly FieldUndo[]): UserEdit | undefined {
  const ours = undo.filter(({ path, after }) => isDeepStrictEqual(fieldOf(user, path), after))
  if (ours.length === 0) return undefined
  return editOf(ours.map(({ path, before }) => [path, before]))
}

function planReset(user: User, families: readonly string[] | undefined): Planned {
  const used = [...user.quotas].filter(
    ([family, quota]) => quota.used !== 0 && (families?.includes(family) ?? true),
  )
  if (used.length === 0) return { kind: 'unchanged' }
  // What was used since cannot be told apart, so that a reset is not undone.
  return { kind: 'edit', edit: { quotaReset: used.map(([family]) => family) }, changes: [] }
}

/** A run that goes on after the end of the grace would cut at once what was to work on. */
function planRotation(previousUntil: number | null | undefined, now: number): Planned {
  if (typeof previousUntil === 'number' && previousUntil <= now)
    return {
      kind: 'invalid',
      issues: [{ path: 'action.previousUntil', message: 'has passed: begin another bulk action' }],
    }
  return unsaid
}

/** The store looks at the entries themselves; this keeps a batch from being tried in vain. */
function planPurge(user: User): Planned {
  const isRunning = [...user.quotas.values()].some(({ openRequests }) => openRequests > 0)
  return isRunning ? { kind: 'invalid', issues: [runningIssue] } : unsaid
}

/** A change that is no edit of fields: nothing of it is kept, so that no token and no person stands in a run. */
const unsaid: Planned = { kind: 'edit', edit: {}, changes: [] }

function valuesFor(
  user: User,
  action: Exclude<BulkAction, { kind: 'resetUsage' | 'rotate' | 'purge' }>,
  { policy, limits, now }: PlanParts,
): Values {
  switch (action.kind) {
    case 'disable':
      return new Map(Object.entries(disableEdit(user, action.reason, now)))
    case 'enable':
      return user.disabledAt === undefined
        ? new Map()
        : new Map([
            ['disabledAt', null],
            ['disabledReason', null],
          ])
    case 'type':
      return new Map([['type', action.type]])
    case 'setLimits':
      return new Map([
        ...Object.entries(limits.limits ?? {}).map(([name, value]) => [`limits.${name}`, value] as const),
        ...Object.entries(limits.quotaLimits ?? {}).map(
          ([family, value]) => [`quotaLimits.${family}`, value] as const,
        ),
      ])
    case 'addToLimits':
      return new Map(
        Object.entries(action.tokenLimits).flatMap(([family, units]) => {
          const limit = user.quotas.get(family)?.limit ?? policy.limits[family] ?? UNLIMITED
          const applies = viewQuota(user, family, undefined, policy, now).limit !== undefined
          if (limit === UNLIMITED || (!applies && user.quotas.get(family)?.limit === undefined)) return []
          return [[`quotaLimits.${family}`, Math.min(unitsMax, Math.max(0, limit + units))] as const]
        }),
      )
    case 'extend': {
      if (user.expiresAt === undefined) return new Map()
      const byDays = Math.max(user.expiresAt, now) + (action.days ?? 0) * dayMs
      return new Map([['expiresAt', action.until ?? byDays]])
    }
    case 'tag': {
      const { add = [], remove = [] } = action
      const kept = (user.tags ?? []).filter((tag) => !remove?.includes(tag))
      const tags = [...new Set([...kept, ...(add ?? [])])]
      return new Map([['tags', tags.length > 0 ? tags : null]])
    }
  }
}

/** The value of a field; null where it is not set. */
function fieldOf(user: User, path: string): unknown {
  const [group, name] = splitPath(path)
  if (group === 'quotaLimits') return user.quotas.get(name)?.limit ?? null
  const of: Readonly<Record<string, unknown>> = group === 'limits' ? { ...user.limits } : { ...user }
  return of[name] ?? null
}

function editOf(values: readonly (readonly [path: string, value: unknown])[]): UserEdit {
  const edit: Record<string, unknown> = {}
  const groups = { limits: new Map<string, unknown>(), quotaLimits: new Map<string, unknown>() }
  for (const [path, value] of values) {
    const [group, name] = splitPath(path)
    if (group === undefined) edit[name] = value
    else groups[group].set(name, value)
  }
  for (const [group, members] of Object.entries(groups))
    if (members.size > 0) edit[group] = Object.fromEntries(members)
  // Each path was made above, of a field of an edit.
  return edit as UserEdit
}

function splitPath(path: string): readonly ['limits' | 'quotaLimits' | undefined, string] {
  for (const group of ['limits', 'quotaLimits'] as const)
    if (path.startsWith(`${group}.`)) return [group, path.slice(group.length + 1)]
  return [undefined, path]
}
