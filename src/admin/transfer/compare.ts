import { isDeepStrictEqual } from 'node:util'
import type { UserAnswer } from '#admin/users/schemas.ts'
import type { Issue } from '#core/errors.ts'
import { countMessage } from '#core/units.ts'
import type { User, UserQuota } from '#core/user.ts'
import { editProfile, type UserEdit } from '#core/user-edit.ts'

/** What an edit would do, told without doing it. */
export type Effect =
  | { readonly kind: 'created' }
  | { readonly kind: 'changed'; readonly changes: readonly FieldChange[] }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }

interface FieldChange {
  readonly field: string
  readonly before?: unknown
  readonly after?: unknown
}

/**
 * @param toUser shows a user as an answer does: what it does not show is no difference
 * @param now epoch milliseconds
 */
export function effectOf(
  user: User | undefined,
  edit: UserEdit,
  toUser: (user: User) => UserAnswer,
  now: number,
): Effect {
  const edited = editProfile(user, edit, now)
  if (edited.kind === 'invalid') return edited
  const issues = Object.entries(edit.standing?.quotaUsed ?? {}).flatMap(([family, used]) =>
    used > (user?.quotas.get(family)?.used ?? 0)
      ? [{ path: `tokenCounts.${family}`, message: countMessage }]
      : [],
  )
  if (issues.length > 0) return { kind: 'invalid', issues }
  if (user === undefined) return { kind: 'created' }
  const { id, accessToken, revision } = user
  const after = { ...edited.profile, id, accessToken, revision, quotas: quotasAfter(user, edit) }
  const changes = changesOf(toUser(user), toUser(after))
  return changes.length > 0 ? { kind: 'changed', changes } : { kind: 'unchanged' }
}

function quotasAfter(user: User, { quotaLimits = {}, quotaUsed = {} }: UserEdit): User['quotas'] {
  const quotas = new Map(user.quotas)
  const quotaOf = (family: string): UserQuota =>
    quotas.get(family) ?? { extra: 0, used: 0, reserved: 0, openRequests: 0 }
  for (const [family, limit] of Object.entries(quotaLimits)) {
    const { limit: _, ...quota } = quotaOf(family)
    quotas.set(family, limit === null ? quota : { ...quota, limit })
  }
  for (const [family, used] of Object.entries(quotaUsed)) quotas.set(family, { ...quotaOf(family), used })
  return quotas
}

function changesOf(before: object, after: object): readonly FieldChange[] {
  const [old, made]: Readonly<Record<string, unknown>>[] = [{ ...before }, { ...after }]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.flatMap((field) => {
    const [was, is] = [old?.[field], made?.[field]]
    if (isDeepStrictEqual(was, is)) return []
    return [{ field, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }]
  })
}
