import { isDeepStrictEqual } from 'node:util'
import { shownPartOf } from '#core/access-token.ts'
import type { By, ChangeFields, ChangeKind, NewChange } from '#core/change.ts'
import type { UserProfile } from '#core/user-edit.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'

/** A user as edits find and leave it. */
export interface UserState {
  readonly id: string
  readonly accessToken: string
  readonly isNew: boolean
  readonly profile: UserProfile
  readonly quotas: ReadonlyMap<string, LoadedQuota>
  /** The SHA-256 of an access token that is accepted as well from now on. */
  readonly newDigest?: string | undefined
}

/** What a state is compared with later: edits change the quotas where they are. */
export function copyOf(user: UserState): UserState {
  const { id, accessToken, isNew, profile } = user
  return {
    id,
    accessToken,
    isNew,
    profile,
    quotas: new Map([...user.quotas].map(([family, quota]) => [family, { ...quota }])),
  }
}

/**
 * The change that edits have made of a user; undefined where they have changed nothing. A count that a period's end
 * has set to zero meanwhile is no change.
 * @param before absent for a user who was made
 */
export function userChange(before: UserState | undefined, after: UserState, by: By): NewChange | undefined {
  const { id: object } = after
  if (!before) {
    const fields = fieldsOf(after)
    return {
      by,
      kind: 'user.created',
      object,
      after: { accessToken: shownPartOf(after.accessToken), ...fields },
    }
  }
  const [was, is] = [fieldsOf(before, after), fieldsOf(after)]
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter(
    (name) => !isDeepStrictEqual(was[name], is[name]),
  )
  if (names.length === 0) return undefined
  return { by, kind: kindOf(names, was, is), object, before: picked(names, was), after: picked(names, is) }
}

/**
 * A flat list of fields by path, such as `limits.maxIps` and `quotaUsed.claude`, without those that say nothing.
 * @param rolled the state behind the edits, of which a later period is taken
 */
function fieldsOf({ profile, quotas, newDigest }: UserState, rolled?: UserState): ChangeFields {
  const { limits, addresses, promptCount, ...rest } = profile
  const fields: Record<string, unknown> = { ...rest }
  if (promptCount !== 0) fields.promptCount = promptCount
  if (addresses.length > 0) fields.addresses = addresses
  if (newDigest !== undefined) fields.tokenSha256 = shownPartOf(newDigest)
  for (const [name, value] of Object.entries(limits)) fields[`limits.${name}`] = value
  for (const [family, quota] of quotas) {
    const isOver = rolled && isRolled(family, { profile, quota }, rolled)
    const { extra, used } = isOver ? { extra: 0, used: 0 } : quota
    if (quota.limit !== undefined) fields[`quotaLimits.${family}`] = quota.limit
    if (extra !== 0) fields[`quotaExtra.${family}`] = extra
    if (used !== 0) fields[`quotaUsed.${family}`] = used
  }
  return fields
}

function isRolled(
  family: string,
  { profile, quota }: { readonly profile: UserProfile; readonly quota: LoadedQuota },
  rolled: UserState,
): boolean {
  if (profile.limits.period !== rolled.profile.limits.period) return false
  return (rolled.quotas.get(family)?.periodStartedAt ?? 0) > quota.periodStartedAt
}

function kindOf(names: readonly string[], was: ChangeFields, is: ChangeFields): ChangeKind {
  if (names.includes('disabledAt')) {
    if (was.disabledAt === undefined) return 'user.disabled'
    if (is.disabledAt === undefined) return 'user.enabled'
  }
  if (names.every((name) => name.startsWith('quotaUsed.') && is[name] === undefined)) return 'usage.reset'
  if (names.every((name) => name.startsWith('quotaExtra.'))) return 'quota.added'
  return 'user.updated'
}

/** A field that the other side alone has is null here. */
function picked(names: readonly string[], fields: ChangeFields): ChangeFields {
  return Object.fromEntries(names.map((name) => [name, fields[name] ?? null]))
}
