import type { Policy } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import { countMessage } from '#core/units.ts'
import { setsExpiry, type UserEdit, type UserProfile } from '#core/user-edit.ts'
import type { Adjustment, Quotas } from '#storage/quotas/account.ts'
import { createAccountEditor } from './draft-account.ts'
import type { StoredUser } from './rows.ts'

/** A user while edits are applied: the rows as read, and the changes to write. */
export interface Draft {
  readonly id: string
  readonly accessToken: string
  readonly tokenHmac: string
  /** The row as it was read; undefined for a user who is not stored yet. */
  readonly row: StoredUser | undefined
  readonly isNew: boolean
  readonly tokenEncrypted: string
  revision: number
  profile: UserProfile
  /** As it was read; undefined for a new user. */
  readonly stored: UserProfile | undefined
  /** When the expiry was written, epoch milliseconds; null where an earlier version wrote it, or it was never set. */
  expirySetAt: number | null
  addressesChanged: boolean
  readonly quotas: Quotas
  readonly adjustments: Adjustment[]
  /** The SHA-256 of an access token that is to be accepted as well; undefined where that stays as it is. */
  newDigest: string | undefined
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

export function createDraftEditor(policy: Policy): DraftEditor {
  const account = createAccountEditor(policy)

  /** Counts of a whole answer that is put back: each is taken where no less stands already. */
  function setCounts(draft: Draft, { quotaUsed = {}, standing }: UserEdit, now: number): readonly Issue[] {
    const counts = Object.entries(standing?.quotaUsed ?? {})
    const beyond = counts.filter(([family, used]) => used > account.viewOf(draft, family, now).used)
    if (beyond.length > 0)
      return beyond.map(([family]) => ({ path: `quotaUsed.${family}`, message: countMessage }))
    for (const [family, used] of [...Object.entries(quotaUsed), ...counts])
      account.setUsed(draft, family, used, { route: routes.edit, now })
    return []
  }

  return {
    recountIfPeriodChanged: (draft, profile, now, countUsedSince) =>
      account.recountIfPeriodChanged(draft, profile, { route: routes.edit, now }, countUsedSince),

    applyEdit(draft, edit, profile, now, isSecond) {
      changeProfile(draft, edit, profile, now, isSecond)
      for (const [family, limit] of Object.entries(edit.quotaLimits ?? {}))
        account.setLimit(draft, family, limit)
      const reset = edit.quotaReset === 'all' ? [...draft.quotas.keys()] : (edit.quotaReset ?? [])
      for (const family of reset) account.setUsed(draft, family, 0, { route: routes.reset, now })
      const issues = setCounts(draft, edit, now)
      if (issues.length > 0) return issues
      return Object.entries(edit.quotaExtra ?? {}).flatMap(([family, units]) =>
        account.addExtra(draft, family, units, now),
      )
    },

    isLimited: (draft, family, now) => account.viewOf(draft, family, now).limit !== undefined,
  }
}

function changeProfile(
  draft: Draft,
  edit: UserEdit,
  profile: UserProfile,
  now: number,
  isSecond: boolean,
): void {
  const isFirst = draft.isNew && !isSecond
  if (setsExpiry(isFirst ? undefined : draft.profile, edit)) draft.expirySetAt = now
  const before = isFirst ? [] : draft.profile.addresses
  if (before.join(' ') !== profile.addresses.join(' ')) draft.addressesChanged = true
  draft.profile = profile
  if (!draft.isNew && !isSecond && !isUpkeep(edit)) draft.revision += 1
}

/** Whether an edit changes counters only: a user's revision covers the fields that are edited, not the counters. */
function isUpkeep(edit: UserEdit): boolean {
  const names = Object.keys(edit)
  return names.length > 0 && names.every((name) => name === 'quotaReset' || name === 'quotaExtra')
}
