import { present } from '#lib/present.ts'
import type { Issue } from './errors.ts'
import type { UserLimits } from './limits.ts'
import { parseAddress } from './network.ts'
import { countMessage } from './units.ts'
import type { User, UserType } from './user.ts'

/**
 * An administrator's change of a user. Absent means unchanged, `null` clears an optional field. Maps merge by family: a
 * named family never changes another.
 */
export interface UserEdit {
  readonly type?: UserType
  readonly nickname?: string | null
  readonly addresses?: readonly string[]
  readonly promptCount?: number
  readonly createdAt?: number
  readonly lastUsedAt?: number | null
  readonly disabledAt?: number | null
  readonly disabledReason?: string | null
  readonly expiresAt?: number | null
  readonly limits?: { readonly [Name in keyof UserLimits]?: UserLimits[Name] | null }
  /** Quota limits by family; `null` returns a family to the default. */
  readonly quotaLimits?: Readonly<Record<string, number | null>>
  /** Adds to a family's limit until its period ends; a negative number takes back what was added. */
  readonly quotaExtra?: Readonly<Record<string, number>>
  /** Counts these families from zero; 'all' of them. Recorded in the ledger as adjustments. */
  readonly quotaReset?: readonly string[] | 'all'
  /** Sets what a family has used in the current period; recorded in the ledger as an adjustment. */
  readonly quotaUsed?: Readonly<Record<string, number>>
  /**
   * Counts beyond what one figure from outside may say, to be set as well. A sum may have grown so far, and what an answer
   * shows may be put back: each is taken where no less stands already.
   */
  readonly standing?: { readonly promptCount?: number; readonly quotaUsed?: Readonly<Record<string, number>> }
  readonly adminNote?: string | null
  /** All tags of the user; an empty list clears them as null does. */
  readonly tags?: readonly string[] | null
  readonly meta?: Readonly<Record<string, unknown>> | null
}

/** The fields that an edit can change without touching the account; quotas are changed separately. */
export type UserProfile = Omit<User, 'id' | 'accessToken' | 'quotas' | 'revision'>

export type ProfileEdited =
  | { readonly kind: 'profile'; readonly profile: UserProfile }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }

/** How many addresses of a user are kept. */
export const addressesMax = 256

/** Applies an edit to a user; undefined makes a new one. Pure; times in epoch milliseconds. */
export function editProfile(current: UserProfile | undefined, edit: UserEdit, now: number): ProfileEdited {
  const type = edit.type ?? current?.type ?? 'normal'
  const expiresAt = chosen(edit.expiresAt, current?.expiresAt)
  if (type === 'temporary' && expiresAt === undefined) {
    return { kind: 'invalid', issues: [{ path: 'expiresAt', message: 'a temporary user needs expiresAt' }] }
  }
  const { promptCount = edit.standing?.promptCount } = edit
  if ((edit.standing?.promptCount ?? 0) > (current?.promptCount ?? 0))
    return { kind: 'invalid', issues: [{ path: 'promptCount', message: countMessage }] }
  const disabledAt = chosen(edit.disabledAt, current?.disabledAt)
  // Enabling again clears the reason, unless the same edit sets another.
  const reasonBefore = edit.disabledAt === null ? undefined : current?.disabledReason
  const profile: UserProfile = {
    type,
    addresses: (edit.addresses ? oneOfEach(edit.addresses) : (current?.addresses ?? [])).slice(-addressesMax),
    promptCount: promptCount ?? current?.promptCount ?? 0,
    createdAt: edit.createdAt ?? current?.createdAt ?? now,
    limits: editLimits(current?.limits ?? {}, edit.limits ?? {}),
    ...present({
      nickname: chosen(edit.nickname, current?.nickname),
      lastUsedAt: chosen(edit.lastUsedAt, current?.lastUsedAt),
      disabledAt,
      disabledReason: chosen(edit.disabledReason, reasonBefore),
      expiresAt,
      adminNote: chosen(edit.adminNote, current?.adminNote),
      tags: tagsAfter(edit.tags, current?.tags),
      meta: chosen(edit.meta, current?.meta),
    }),
  }
  return { kind: 'profile', profile }
}

/**
 * Whether an edit sets the user's expiry: by stating it (also unchanged), or by making the user temporary, for whom the
 * expiry also means removal. The removal of expired users counts from the later of the expiry and this edit.
 */
export function setsExpiry(current: Pick<User, 'type'> | undefined, edit: UserEdit): boolean {
  const becomesTemporary = edit.type === 'temporary' && current?.type !== 'temporary'
  return typeof edit.expiresAt === 'number' || becomesTemporary
}

/**
 * Each address once, in its one form. Texts that are not addresses, such as the digests in exports of other systems,
 * are kept.
 */
function oneOfEach(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses.map((address) => parseAddress(address) ?? address))]
}

/** Disables the user. A second time keeps the first instant, and changes the reason only where one is given. */
export function disableEdit(
  current: Pick<User, 'disabledAt'>,
  reason: string | undefined,
  now: number,
): UserEdit {
  const already = current.disabledAt !== undefined && current.disabledAt <= now
  return {
    ...(!already && { disabledAt: now }),
    ...(reason !== undefined && { disabledReason: reason }),
  }
}

/** Each tag once, in the given order. */
function tagsAfter(
  edited: readonly string[] | null | undefined,
  before: readonly string[] | undefined,
): readonly string[] | undefined {
  if (edited === undefined) return before
  return edited === null || edited.length === 0 ? undefined : [...new Set(edited)]
}

function chosen<T>(edited: T | null | undefined, before: T | undefined): T | undefined {
  return edited === undefined ? before : (edited ?? undefined)
}

function editLimits(before: UserLimits, edit: NonNullable<UserEdit['limits']>): UserLimits {
  const merged = { ...before, ...edit }
  return Object.fromEntries(
    Object.entries(merged).filter(([, value]) => value !== null && value !== undefined),
  )
}
