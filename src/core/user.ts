import type { Issue } from './errors.ts'
import type { UserLimits } from './limits.ts'

export type UserType = 'normal' | 'special' | 'temporary'
export const userTypes: readonly UserType[] = ['normal', 'special', 'temporary']

/** The value that means "unlimited" in the admin API. */
export const UNLIMITED = -1

/** One family's quota of a user, up to date: where a period is over, it counts from zero already. */
export interface UserQuota {
  /** Own limit in units; absent: the configuration's default applies. */
  readonly limit?: number
  /** Added to the limit for this period only. */
  readonly extra: number
  readonly used: number
  readonly reserved: number
  /** Requests of this family that are running. */
  readonly openRequests: number
}

export interface User {
  readonly id: string
  readonly accessToken: string
  readonly type: UserType
  readonly nickname?: string
  /** Addresses the user came from, newest last. */
  readonly addresses: readonly string[]
  readonly promptCount: number
  readonly createdAt: number
  readonly lastUsedAt?: number
  readonly disabledAt?: number
  readonly disabledReason?: string
  readonly expiresAt?: number
  readonly limits: UserLimits
  readonly quotas: ReadonlyMap<string, UserQuota>
  readonly adminNote?: string
  /** What administrators sort users by; at least one, each once. Absent without any. */
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, unknown>>
  /** Counts edits by administrators, not usage; the ETag is made from it. */
  readonly revision: number
}

/** The fields that block a user, now or at a future instant. */
export type UserBlock = Pick<User, 'id' | 'disabledAt' | 'disabledReason' | 'expiresAt'>

/** What can be read of a user whose row is damaged; what cannot be is absent. */
export interface UnreadableUser
  extends UserBlock,
    Partial<Pick<User, 'accessToken' | 'type' | 'nickname' | 'promptCount' | 'createdAt' | 'lastUsedAt'>> {
  readonly isUnreadable: true
}

/** What is wrong with a user who is to be purged: requests are booked on it when they end. */
export const runningIssue: Issue = {
  path: '',
  message: 'has requests running: disable it, and try again when they have ended',
}

/** Whether the user is disabled at `now`; `disabledAt` may lie in the future. */
export function isDisabled(user: Pick<User, 'disabledAt'>, now: number): boolean {
  return user.disabledAt !== undefined && user.disabledAt <= now
}

/** When the user will be blocked, by expiry or by a `disabledAt` in the future; undefined where neither is set. */
export function blockedFrom({
  disabledAt,
  expiresAt,
}: Pick<User, 'disabledAt' | 'expiresAt'>): number | undefined {
  if (disabledAt === undefined || expiresAt === undefined) return disabledAt ?? expiresAt
  return Math.min(disabledAt, expiresAt)
}

/** Whether the user has expired at `now`; every type of user may expire. */
export function isExpired(user: Pick<User, 'expiresAt'>, now: number): boolean {
  return user.expiresAt !== undefined && user.expiresAt <= now
}

/** What blocks the user at `now`; undefined where nothing does. */
export function blockNow(
  user: Pick<User, 'disabledAt' | 'expiresAt'>,
  now: number,
): 'user_disabled' | 'user_expired' | undefined {
  if (isDisabled(user, now)) return 'user_disabled'
  return isExpired(user, now) ? 'user_expired' : undefined
}
