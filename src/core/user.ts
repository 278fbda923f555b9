import type { Period } from './period.ts'

export type UserType = 'normal' | 'special' | 'temporary'
export const userTypes: readonly UserType[] = ['normal', 'special', 'temporary']

/** The limit that stands for "no limit", as the admin API's callers write it. */
export const UNLIMITED = -1

/** Limits beside the quota. Absent means the configuration's default; UNLIMITED switches a number off. */
export interface UserLimits {
  readonly requestsPerMinute?: number
  readonly concurrentRequests?: number
  readonly maxIps?: number
  /** Days after which an address that was not seen again counts no more towards `maxIps`; absent: never. */
  readonly ipWindowDays?: number
  /** What happens at an address beyond `maxIps`: refuse the request (the default), or disable the user as well. */
  readonly ipLimitAction?: IpLimitAction
  /** CIDR networks the user may come from; empty or absent: from anywhere. */
  readonly allowedNetworks?: readonly string[]
  /** Globs over model names, or family names; empty or absent: every model. */
  readonly allowedModels?: readonly string[]
  readonly period?: Period
}

export type IpLimitAction = 'refuse' | 'disable'
export const ipLimitActions: readonly IpLimitAction[] = ['refuse', 'disable']

/** One family's quota of a user, as it stands now (a period that is over is already counted out). */
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
  readonly meta?: Readonly<Record<string, unknown>>
  /** Counts an administrator's edits, not the counters' changes; the ETag is made from it. */
  readonly revision: number
}

/** What bars a user, now or at an instant to come. */
export type UserBar = Pick<User, 'id' | 'disabledAt' | 'disabledReason' | 'expiresAt'>

/** A user of whose row only this can be read: something else in it is damaged. */
export interface UnreadableUser extends UserBar {
  readonly isUnreadable: true
  /** Absent where it cannot be unsealed either. */
  readonly accessToken?: string
}

/** Whether the user is disabled at `now`; `disabledAt` may lie in the future. */
export function isDisabled(user: Pick<User, 'disabledAt'>, now: number): boolean {
  return user.disabledAt !== undefined && user.disabledAt <= now
}

/** When the user will be barred, by expiry or by a `disabledAt` to come; undefined where neither is set. */
export function barredFrom({
  disabledAt,
  expiresAt,
}: Pick<User, 'disabledAt' | 'expiresAt'>): number | undefined {
  if (disabledAt === undefined || expiresAt === undefined) return disabledAt ?? expiresAt
  return Math.min(disabledAt, expiresAt)
}

/** Whether the user has expired at `now`; honoured on every type. */
export function isExpired(user: Pick<User, 'expiresAt'>, now: number): boolean {
  return user.expiresAt !== undefined && user.expiresAt <= now
}
