import { type Policy, type QuotaView, viewQuota } from './admission.ts'
import type { User } from './user.ts'

/** The configured families in their order, then those of former configurations that the user has a quota of. */
export function quotaFamilies(user: Pick<User, 'quotas'>, policy: Policy): readonly string[] {
  const names = policy.families.map(({ name }) => name)
  return [...new Set([...names, ...user.quotas.keys()])].filter((name) => isShown(name, user, policy))
}

/** Whether a family is shown: always, or for families with `isShownOnceUsed` only where it was used or is limited. */
export function isShown(
  family: string,
  user: Pick<User, 'quotas'>,
  { families, limits }: Pick<Policy, 'families' | 'limits'>,
): boolean {
  if (!families.some(({ name, isShownOnceUsed }) => name === family && isShownOnceUsed)) return true
  const quota = user.quotas.get(family)
  const isTouched =
    quota !== undefined && (quota.limit !== undefined || quota.used !== 0 || quota.reserved > 0)
  return isTouched || limits[family] !== undefined
}

/** The state of one family for a user, as reports show it. */
export function viewUserQuota(
  user: Pick<User, 'type' | 'limits' | 'quotas'>,
  family: string,
  policy: Policy,
  now: number,
): QuotaView {
  const quota = user.quotas.get(family)
  // A user's quotas are up to date: their counts belong to the current period.
  const stored = quota && { ...quota, periodStartedAt: Number.POSITIVE_INFINITY }
  return viewQuota(user, family, stored, policy, now)
}

/** The units that may still be reserved; undefined where the family is unlimited. */
export function remainingOf({ limit, used, reserved }: QuotaView): number | undefined {
  return limit === undefined ? undefined : Math.max(0, limit - used - reserved)
}
