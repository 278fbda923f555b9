import { randomBase62 } from '#lib/base62.ts'

/**
 * A link that shows a user's access token once, to the holder who opens it and confirms. Its code is as good as the access
 * token itself while the link is open; only a keyed hash of it is stored.
 */
export interface Claim {
  readonly id: string
  readonly userId: string
  readonly state: ClaimState
  readonly createdAt: number
  readonly expiresAt: number
  /** The access token is made anew when the link is used; absent: the present one is shown. */
  readonly rotation?: ClaimRotation
  readonly usedAt?: number
  /** By an administrator, or by a newer link. */
  readonly revokedAt?: number
}

export interface ClaimRotation {
  /** How long the access token before works on; milliseconds. */
  readonly graceMs: number
}

export const claimStates = ['open', 'used', 'expired', 'revoked'] as const
export type ClaimState = (typeof claimStates)[number]

export interface NewClaim {
  readonly userId: string
  readonly code: string
  readonly expiresAt: number
  readonly rotation?: ClaimRotation
  /** What the administrator presented. The link ends when that is no longer accepted. */
  readonly madeWith: { readonly keyId: string; readonly secret: string } | { readonly sessionId: string }
}

/** Links of a user that are kept, the newest ones; one of them at most is open. */
export const claimsKeptMax = 10

const prefix = 'tgc-'
const randomLength = 40

/** 238 random bits. */
export function createClaimCode(): string {
  return prefix + randomBase62(randomLength)
}

const form = new RegExp(`^${prefix}[0-9A-Za-z]{${randomLength}}$`)

/** Whether a text has the form of a code: such a one cannot be found by guessing. */
export function isClaimCode(text: string): boolean {
  return form.test(text)
}
