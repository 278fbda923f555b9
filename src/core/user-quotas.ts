import { type Policy, type QuotaView, viewQuota } from './admission.ts'
import type { User } from './user.ts'

/** The configured families in their order, then those of former configurations that the user has a quota of. */
export function quotaFamilies(user: Pick<User, 'quotas'>, policy: Policy): readonly string[] {
  return [...new Set([...policy.families.map(({ name }) => name), ...user.quotas.keys()])]
}

/** Where one family stands for a user, as whoever reports it says. */
export function viewUserQuota(
  user: Pick<User, 'type' | 'limits' | 'quotas'>,
  family: string,
  policy: Policy,
  now: number,
): QuotaView {
  const quota = user.quotas.get(family)
  // A user's quotas are already counted out: what is there belongs to the current period.
  const stored = quota && { ...quota, periodStartedAt: Number.POSITIVE_INFINITY }
  return viewQuota(user, family, stored, policy, now)
}

/** What may still be reserved; undefined where there is no limit. */
export function remainingOf({ limit, used, reserved }: QuotaView): number | undefined {
  return limit === undefined ? undefined : Math.max(0, limit - used - reserved)
}
