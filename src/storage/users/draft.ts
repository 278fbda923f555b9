import { type Policy, periodOf, viewQuota } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import { addUnits, countMessage } from '#core/units.ts'
import { setsExpiry, type UserEdit, type UserProfile } from '#core/user-edit.ts'
import type { EntryRow, QuotaRow } from '#storage/schema/tables.ts'
import { adjustUsed, emptyQuota, rollQuota } from './quota-changes.ts'
import { toQuotaState } from './rows.ts'

/** A user while edits are applied: the rows as read, and the changes to write. */
export interface Draft {
  readonly id: string
  readonly accessToken: string
  readonly lookup: string
  readonly isNew: boolean
  readonly sealed: string
  revision: number
  profile: UserProfile
  /** When the expiry was written, epoch milliseconds; null where an earlier version wrote it, or it was never set. */
  expirySetAt: number | null
  addressesChanged: boolean
  readonly quotas: Map<string, QuotaRow>
  readonly quotasChanged: Set<string>
  readonly adjustments: EntryRow[]
}

/** Applies edits to drafts; reads and writes no rows, except through `countUsedSince`. */
export interface DraftEditor {
  /**
   * A new kind of period begins at another instant: usage since then is counted from the ledger, not from the stored
   * count. Units that were added for the current period are kept until the new period ends, so that the user does not
   * lose them.
   */
  readonly recountIfPeriodChanged: (
    draft: Draft,
    profile: UserProfile,
    now: number,
    countUsedSince: (userId: string, family: string, startAt: number) => Promise<number>,
  ) => Promise<void>
  /** Returns the issues that only the stored quotas can show. */
  readonly applyEdit: (
    draft: Draft,
    edit: UserEdit,
    profile: UserProfile,
    now: number,
    isSecond: boolean,
  ) => readonly Issue[]
  /** Whether this user has a limit on the family, to which units can be added. */
  readonly isLimited: (draft: Draft, family: string, now: number) => boolean
}

const routes = { edit: '/admin/users', reset: '/admin/users/{token}/quota/reset' } as const

/** @param instance the name of this process in the entries of adjustments */
export function createDraftEditor(policy: Policy, instance: string): DraftEditor {
  function viewOf(draft: Draft, family: string, now: number) {
    const stored = draft.quotas.get(family)
    return viewQuota(draft.profile, family, stored && toQuotaState(stored), policy, now)
  }

  /** A family's quota, rolled over to the period of `now`, so that it can be changed. */
  function currentQuota(draft: Draft, family: string, now: number): QuotaRow {
    const quota = quotaOf(draft, family)
    rollQuota(quota, policy.periodAt(periodOf(draft.profile.limits, policy), now).startAt)
    draft.quotasChanged.add(family)
    return quota
  }

  function setUsed(draft: Draft, family: string, used: number, route: string, now: number): void {
    if (viewOf(draft, family, now).used === used) return
    const entry = adjustUsed(currentQuota(draft, family, now), used, { instance, route, now })
    if (entry) draft.adjustments.push(entry)
  }

  function addExtra(draft: Draft, family: string, units: number, now: number): readonly Issue[] {
    const path = `quotaExtra.${family}`
    const { limit, extra: before } = viewOf(draft, family, now)
    if (limit === undefined) return [{ path, message: 'has no limit that could be added to' }]
    const extra = before + units
    if (extra < 0) return [{ path, message: `only ${before} were added in this period` }]
    if (!Number.isSafeInteger(limit + units))
      return [{ path, message: 'would come to more than can be counted' }]
    if (units !== 0) currentQuota(draft, family, now).extra = extra
    return []
  }

  return {
    async recountIfPeriodChanged(draft, profile, now, countUsedSince) {
      const period = periodOf(profile.limits, policy)
      if (period === periodOf(draft.profile.limits, policy)) return
      const { startAt } = policy.periodAt(period, now)
      for (const quota of draft.quotas.values()) {
        const pending = draft.adjustments.filter(({ family }) => family === quota.family)
        const booked = await countUsedSince(draft.id, quota.family, startAt)
        quota.extra = viewQuota(draft.profile, quota.family, toQuotaState(quota), policy, now).extra
        quota.used = pending.reduce((sum, { units }) => addUnits(sum, units), booked)
        quota.period_started_at = startAt
        // The count may have been lowered by usage that the shorter period does not include.
        const entry = quota.used < 0 && adjustUsed(quota, 0, { instance, route: routes.edit, now })
        if (entry) draft.adjustments.push(entry)
        draft.quotasChanged.add(quota.family)
      }
    },

    applyEdit(draft, edit, profile, now, isSecond) {
      const isFirst = draft.isNew && !isSecond
      if (setsExpiry(isFirst ? undefined : draft.profile, edit)) draft.expirySetAt = now
      const before = isFirst ? [] : draft.profile.addresses
      if (before.join(' ') !== profile.addresses.join(' ')) draft.addressesChanged = true
      draft.profile = profile
      if (!draft.isNew && !isSecond && !isUpkeep(edit)) draft.revision += 1
      for (const [family, limit] of Object.entries(edit.quotaLimits ?? {})) {
        const quota = quotaOf(draft, family)
        if (quota.quota_limit === limit) continue
        quota.quota_limit = limit
        draft.quotasChanged.add(family)
      }
      const reset = edit.quotaReset === 'all' ? [...draft.quotas.keys()] : (edit.quotaReset ?? [])
      for (const family of reset) setUsed(draft, family, 0, routes.reset, now)
      const standing = Object.entries(edit.standing?.quotaUsed ?? {})
      const beyond = standing.filter(([family, used]) => used > viewOf(draft, family, now).used)
      if (beyond.length > 0)
        return beyond.map(([family]) => ({ path: `quotaUsed.${family}`, message: countMessage }))
      for (const [family, used] of [...Object.entries(edit.quotaUsed ?? {}), ...standing])
        setUsed(draft, family, used, routes.edit, now)
      return Object.entries(edit.quotaExtra ?? {}).flatMap(([family, units]) =>
        addExtra(draft, family, units, now),
      )
    },

    isLimited: (draft, family, now) => viewOf(draft, family, now).limit !== undefined,
  }
}

function quotaOf(draft: Draft, family: string): QuotaRow {
  const known = draft.quotas.get(family)
  if (known) return known
  const made = emptyQuota(draft.id, family)
  draft.quotas.set(family, made)
  return made
}

/** Whether an edit changes counters only: a user's revision covers the fields that are edited, not the counters. */
function isUpkeep(edit: UserEdit): boolean {
  const names = Object.keys(edit)
  return names.length > 0 && names.every((name) => name === 'quotaReset' || name === 'quotaExtra')
}
