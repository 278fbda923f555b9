import type { Policy } from '#core/admission.ts'
import { toBoundedUsage, type Usage } from '#core/usage.ts'
import { chargeOf, weighingOf } from '#core/weights.ts'
import { bookedAt, charge, periodStartOf, quotaOf, rollOver } from '#storage/quotas/account.ts'
import type { LedgerChanges } from './changes.ts'
import type { LoadedState, LoadedUser } from './state.ts'

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
  const quota = quotaOf(user.quotas, family)
  rollOver(quota, periodStartOf(user.limits, policy, now))
  quota.isChanged = true
  return { usage, units: charge(quota, units), weighing, endedAt: bookedAt(quota, now) }
}
