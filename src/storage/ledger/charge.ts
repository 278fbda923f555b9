import { type Policy, periodOf } from '#core/admission.ts'
import { addUnits } from '#core/units.ts'
import { toBoundedUsage, type Usage } from '#core/usage.ts'
import { chargeOf, weighingOf } from '#core/weights.ts'
import type { LedgerChanges } from './changes.ts'
import { type LoadedQuota, type LoadedState, type LoadedUser, quotaOf } from './state.ts'

/** What each step of a batch reads, and what it adds to. */
export interface BatchRun {
  readonly state: LoadedState
  readonly policy: Policy
  readonly now: number
  readonly changes: LedgerChanges
}

/**
 * Charges usage for which nothing was reserved to the quota of its family.
 *
 * @param user undefined where the user was removed: then the usage is booked and charged to no quota
 */
export function chargeTo(
  user: LoadedUser | undefined,
  used: { readonly family: string; readonly usage: Usage },
  run: BatchRun,
): { readonly usage: Usage; readonly units: number; readonly weighing: number; readonly endedAt: number } {
  const { policy, now } = run
  const { family } = used
  const usage = toBoundedUsage(used.usage)
  const weights = policy.weightsOf?.(family)
  const units = chargeOf(usage, weights)
  const weighing = weighingOf(usage, weights)
  if (!user) return { usage, units, weighing, endedAt: now }
  const quota = quotaOf(user, family)
  rollOver(quota, user, run)
  quota.isChanged = true
  // After a clock was set back, the booking must not fall into a period that the quota has left.
  return { usage, units: charge(quota, units), weighing, endedAt: Math.max(now, quota.periodStartedAt) }
}

/** Adds units to `used` and answers how many fitted below the bound, so that `used` stays the sum of its entries. */
export function charge(quota: LoadedQuota, units: number): number {
  const before = quota.used
  quota.used = addUnits(before, units)
  return quota.used - before
}

/** A quota whose period is over counts from zero. Reservations belong to running requests and stay. */
export function rollOver(quota: LoadedQuota, { limits }: LoadedUser, { policy, now }: BatchRun): void {
  const { startAt } = policy.periodAt(periodOf(limits, policy), now)
  if (quota.periodStartedAt >= startAt) return
  quota.used = 0
  quota.extra = 0
  quota.periodStartedAt = startAt
}
