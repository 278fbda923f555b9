import { type Policy, viewQuota } from '#core/admission.ts'
import { isDisabled, isExpired, type User } from '#core/user.ts'

/** What a holder sees of the own account. Times in epoch milliseconds; what is not set is absent. */
export interface UsageAnswer {
  readonly object: 'usage'
  readonly user: {
    readonly id: string
    readonly type: User['type']
    readonly nickname?: string
    readonly state: 'active' | 'disabled' | 'expired'
    readonly expiresAt?: number
    readonly promptCount: number
  }
  readonly families: readonly FamilyUsage[]
}

interface FamilyUsage {
  readonly family: string
  readonly used: number
  /** Held by requests that are running. */
  readonly reserved: number
  /** Absent where there is no limit; so are `remaining`, and `resetAt` where no period ends. */
  readonly limit?: number
  readonly remaining?: number
  readonly resetAt?: number
}

export function toUsageAnswer(user: User, policy: Policy, now: number): UsageAnswer {
  return {
    object: 'usage',
    user: {
      id: user.id,
      type: user.type,
      ...(user.nickname !== undefined && { nickname: user.nickname }),
      state: isDisabled(user, now) ? 'disabled' : isExpired(user, now) ? 'expired' : 'active',
      ...(user.expiresAt !== undefined && { expiresAt: user.expiresAt }),
      promptCount: user.promptCount,
    },
    families: familiesOf(user, policy).map((family) => toFamilyUsage(user, family, policy, now)),
  }
}

/** The configured families in their order, then those of former configurations that were used. */
function familiesOf(user: User, policy: Policy): readonly string[] {
  return [...new Set([...policy.families.map(({ name }) => name), ...user.quotas.keys()])]
}

function toFamilyUsage(user: User, family: string, policy: Policy, now: number): FamilyUsage {
  const quota = user.quotas.get(family)
  // A user's quotas are already counted out: what is there belongs to the current period.
  const stored = quota && { ...quota, periodStartedAt: Number.POSITIVE_INFINITY }
  const view = viewQuota(user, family, stored, policy, now)
  return {
    family,
    used: view.used,
    reserved: view.reserved,
    ...(view.limit !== undefined && {
      limit: view.limit,
      remaining: Math.max(0, view.limit - view.used - view.reserved),
    }),
    ...(Number.isFinite(view.resetAt) && { resetAt: view.resetAt }),
  }
}
