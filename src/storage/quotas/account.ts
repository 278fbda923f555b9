import { type Policy, periodOf, type QuotaState } from '#core/admission.ts'
import type { UserLimits } from '#core/limits.ts'
import { addUnits } from '#core/units.ts'
import { createSortableId } from '#lib/sortable-id.ts'

/**
 * The arithmetic of a user's account, for the batches of metering and for an administrator's changes alike: `used` is
 * the sum of the entries and adjustments of the current period.
 */
export interface LoadedQuota extends QuotaState {
  readonly family: string
  limit?: number
  /** The quota has a stored row. */
  isStored: boolean
  extra: number
  used: number
  reserved: number
  /** Running requests of this family. */
  openRequests: number
  periodStartedAt: number
  isChanged: boolean
}

export type Quotas = Map<string, LoadedQuota>

/** A difference in a count that no request explains. */
export interface Adjustment {
  readonly id: string
  readonly userId: string
  /** The route template of what caused it. */
  readonly route: string
  readonly family: string
  readonly units: number
  readonly at: number
}

/** A quota of a family, made where the family was never used. */
export function quotaOf(quotas: Quotas, family: string): LoadedQuota {
  const known = quotas.get(family)
  if (known) return known
  const made = {
    family,
    isStored: false,
    extra: 0,
    used: 0,
    reserved: 0,
    openRequests: 0,
    periodStartedAt: 0,
    isChanged: false,
  }
  quotas.set(family, made)
  return made
}

/** When the period of these limits began that `now` lies in. */
export function periodStartOf(limits: UserLimits, policy: Policy, now: number): number {
  return policy.periodAt(periodOf(limits, policy), now).startAt
}

/**
 * A quota whose period is over counts from zero, and units added for that period end with it. Reservations belong to
 * running requests and stay.
 */
export function rollOver(quota: LoadedQuota, startAt: number): void {
  if (quota.periodStartedAt >= startAt) return
  quota.used = 0
  quota.extra = 0
  quota.periodStartedAt = startAt
}

/** How many of these units fit below the bound. */
export function roomFor(quota: LoadedQuota, units: number): number {
  return addUnits(quota.used, units) - quota.used
}

/** Adds units to `used` and answers how many fitted below the bound, so that `used` stays the sum of its entries. */
export function charge(quota: LoadedQuota, units: number): number {
  const before = quota.used
  quota.used = addUnits(before, units)
  return quota.used - before
}

/** When something of `now` is booked. After a clock was set back it must not fall into a period that the quota has left. */
export function bookedAt(quota: LoadedQuota, now: number): number {
  return Math.max(now, quota.periodStartedAt)
}

/**
 * Sets the count of a quota whose period is current. Returns the adjustment that explains the difference, if there is
 * one.
 */
export function adjustUsed(
  quota: LoadedQuota,
  used: number,
  by: { readonly userId: string; readonly route: string; readonly now: number },
): Adjustment | undefined {
  const units = used - quota.used
  if (units === 0) return undefined
  quota.used = used
  quota.isChanged = true
  return toAdjustment(quota, units, by)
}

/** An adjustment that is booked without a change of the count. */
export function toAdjustment(
  quota: LoadedQuota,
  units: number,
  { userId, route, now }: { readonly userId: string; readonly route: string; readonly now: number },
): Adjustment {
  const at = bookedAt(quota, now)
  return { id: createSortableId('adj_', at), userId, route, family: quota.family, units, at }
}
