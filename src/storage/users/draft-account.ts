import { type Policy, periodOf, type QuotaView, viewQuota } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import { addUnits } from '#core/units.ts'
import type { UserProfile } from '#core/user-edit.ts'
import { adjustUsed, type LoadedQuota, periodStartOf, quotaOf, rollOver } from '#storage/quotas/account.ts'
import type { Draft } from './draft.ts'

/** Why and when an account is changed. */
interface ChangedBy {
  /** The route template of the operation. */
  readonly route: string
  readonly now: number
}

/** Changes the account of a draft. A count is never just overwritten: the difference is booked as an adjustment. */
export interface AccountEditor {
  readonly viewOf: (draft: Draft, family: string, now: number) => QuotaView
  readonly setLimit: (draft: Draft, family: string, limit: number | null) => void
  readonly setUsed: (draft: Draft, family: string, used: number, by: ChangedBy) => void
  /** Returns the issues where the family has no limit, or where it would be left outside of what can be counted. */
  readonly addExtra: (draft: Draft, family: string, units: number, now: number) => readonly Issue[]
  /** As in `DraftEditor`. */
  readonly recountIfPeriodChanged: (
    draft: Draft,
    profile: UserProfile,
    by: ChangedBy,
    countUsedSince: (userId: string, family: string, startAt: number) => Promise<number>,
  ) => Promise<void>
}

export function createAccountEditor(policy: Policy): AccountEditor {
  const viewOf = (draft: Draft, family: string, now: number) =>
    viewQuota(draft.profile, family, draft.quotas.get(family), policy, now)

  /** A family's quota, rolled over to the period of `now`, so that it can be changed. */
  function currentQuota({ quotas, profile }: Draft, family: string, now: number): LoadedQuota {
    const quota = quotaOf(quotas, family)
    rollOver(quota, periodStartOf(profile.limits, policy, now))
    quota.isChanged = true
    return quota
  }

  function adjust(draft: Draft, quota: LoadedQuota, used: number, by: ChangedBy): void {
    const adjustment = adjustUsed(quota, used, { ...by, userId: draft.id })
    if (adjustment) draft.adjustments.push(adjustment)
  }

  return {
    viewOf,

    setLimit({ quotas }, family, limit) {
      const quota = quotaOf(quotas, family)
      if ((quota.limit ?? null) === limit) return
      quota.isChanged = true
      if (limit !== null) quota.limit = limit
      else delete quota.limit
    },

    setUsed(draft, family, used, by) {
      if (viewOf(draft, family, by.now).used === used) return
      adjust(draft, currentQuota(draft, family, by.now), used, by)
    },

    addExtra(draft, family, units, now) {
      const path = `quotaExtra.${family}`
      const { limit, extra: before } = viewOf(draft, family, now)
      if (limit === undefined) return [{ path, message: 'has no limit that could be added to' }]
      const extra = before + units
      if (extra < 0) return [{ path, message: `only ${before} were added in this period` }]
      if (!Number.isSafeInteger(limit + units))
        return [{ path, message: 'would come to more than can be counted' }]
      if (units !== 0) currentQuota(draft, family, now).extra = extra
      return []
    },

    async recountIfPeriodChanged(draft, profile, by, countUsedSince) {
      const period = periodOf(profile.limits, policy)
      if (period === periodOf(draft.profile.limits, policy)) return
      const { startAt } = policy.periodAt(period, by.now)
      for (const quota of draft.quotas.values()) {
        const pending = draft.adjustments.filter(({ family }) => family === quota.family)
        const booked = await countUsedSince(draft.id, quota.family, startAt)
        quota.extra = viewQuota(draft.profile, quota.family, quota, policy, by.now).extra
        quota.used = pending.reduce((sum, { units }) => addUnits(sum, units), booked)
        quota.periodStartedAt = startAt
        quota.isChanged = true
        // The count may have been lowered by usage that the shorter period does not include.
        if (quota.used < 0) adjust(draft, quota, 0, by)
      }
    },
  }
}
