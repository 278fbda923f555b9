import type { Policy } from '#core/admission.ts'
import { isDisabled, isExpired, type User } from '#core/user.ts'
import { quotaFamilies, remainingOf, viewUserQuota } from '#core/user-quotas.ts'

/** A user's own account. Times in epoch milliseconds; a field that is not set is absent. */
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
  /** Absent without a limit, and so is `remaining`; `resetAt` is absent where the period is `none`. */
  readonly limit?: number
  /** The part of the limit that was added for this period only; absent where nothing was added. */
  readonly extra?: number
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
    families: quotaFamilies(user, policy).map((family) => toFamilyUsage(user, family, policy, now)),
  }
}

function toFamilyUsage(user: User, family: string, policy: Policy, now: number): FamilyUsage {
  const view = viewUserQuota(user, family, policy, now)
  const remaining = remainingOf(view)
  return {
    family,
    used: view.used,
    reserved: view.reserved,
    ...(view.limit !== undefined && { limit: view.limit }),
    ...(view.extra !== 0 && { extra: view.extra }),
    ...(remaining !== undefined && { remaining }),
    ...(Number.isFinite(view.resetAt) && { resetAt: view.resetAt }),
  }
}
