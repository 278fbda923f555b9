import type { Policy } from '#core/admission.ts'
import { toBoundedUsage, type Usage } from '#core/usage.ts'
import { chargeOf, weighingOf } from '#core/weights.ts'
import {
  bookedAt,
  charge,
  type LoadedQuota,
  periodStartOf,
  quotaOf,
  rollOver,
  roomFor,
} from '#storage/quotas/account.ts'
import type { LedgerChanges } from './changes.ts'
import type { LoadedState, LoadedUser } from './state.ts'

/** What each step of a batch reads, and what it adds to. */
export interface BatchRun {
  readonly state: LoadedState
  readonly policy: Policy
  readonly now: number
  readonly changes: LedgerChanges
}

/** The accounts that usage belongs to; a user is undefined where it was removed. */
export interface Accounts {
  readonly user: LoadedUser | undefined
  /** The front end that the user asked through. */
  readonly frontEnd: LoadedUser | undefined
}

/**
 * Charges usage for which nothing was reserved to the quota of its family.
 * Where the user was removed, it is booked and charged to no quota.
 */
export function chargeTo(
  { user, frontEnd }: Accounts,
  used: { readonly family: string; readonly usage: Usage },
  run: BatchRun,
): { readonly usage: Usage; readonly units: number; readonly weighing: number; readonly endedAt: number } {
  const { policy, now } = run
  const { family } = used
  const usage = toBoundedUsage(used.usage)
  const weights = policy.weightsOf?.(family)
  let units = chargeOf(usage, weights)
  const weighing = weighingOf(usage, weights)
  let endedAt = now
  const shared = frontEnd && currentQuota(frontEnd, family, policy, now)
  if (shared) {
    units = roomFor(shared, units)
    endedAt = bookedAt(shared, now)
  }
  if (user) {
    const quota = currentQuota(user, family, policy, now)
    units = charge(quota, units)
    endedAt = Math.max(endedAt, bookedAt(quota, now))
  }
  if (shared) charge(shared, units)
  return { usage, units, weighing, endedAt }
}

function currentQuota(user: LoadedUser, family: string, policy: Policy, now: number): LoadedQuota {
  const quota = quotaOf(user.quotas, family)
  rollOver(quota, periodStartOf(user.limits, policy, now))
  quota.isChanged = true
  return quota
}
