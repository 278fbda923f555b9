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
  /** CIDR networks the user may come from; empty or absent: from anywhere. */
  readonly allowedNetworks?: readonly string[]
  /** Globs over model names, or family names; empty or absent: every model. */
  readonly allowedModels?: readonly string[]
  readonly period?: Period
}

/** One family's quota of a user, as it stands now (a period that is over is already counted out). */
export interface UserQuota {
  /** Own limit in units; absent: the configuration's default applies. */
  readonly limit?: number
  readonly used: number
  readonly reserved: number
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

/** Whether the user is disabled at `now`; `disabledAt` may lie in the future. */
export function isDisabled(user: Pick<User, 'disabledAt'>, now: number): boolean {
  return user.disabledAt !== undefined && user.disabledAt <= now
}

/** Whether the user has expired at `now`; honoured on every type. */
export function isExpired(user: Pick<User, 'expiresAt'>, now: number): boolean {
  return user.expiresAt !== undefined && user.expiresAt <= now
}
