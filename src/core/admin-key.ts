import { createNetworks, isWithinNetworks } from './network.ts'
import { beyond, type Scope } from './scopes.ts'

/** The id of the key from the environment, which is in no table. */
export const configuredKeyId = 'adk_environment'

/** How long the secret before may work on. Long enough to change it on many machines by hand; a forgotten one ends. */
export const keyOverlapDaysMax = 90

/** The secret of an administrator, or of another gateway, as far as it is known: the secret itself is not stored. */
export interface AdminKey {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly expiresAt?: number
  readonly scopes: readonly Scope[]
  /** Addresses and networks from which it is accepted; absent: from anywhere. */
  readonly allowedNetworks?: readonly string[]
  /** When it last opened something, to about a minute. */
  readonly lastUsedAt?: number
  /** When it got its present secret; absent: when it was made. */
  readonly rotatedAt?: number
  /** Until when the secret before the present one is accepted as well. */
  readonly previousUntil?: number
  /** Since when it opens sessions only, each with a code of its second factor; absent: it has none. */
  readonly secondFactorAt?: number
  /** An operator chose it, and it is short enough that it might be guessed. */
  readonly isGuessable?: boolean
  /** The stored row cannot be read, so that the key opens nothing. What is unknown of it is empty, or 0. */
  readonly isDamaged?: true
}

export interface NewAdminKey {
  readonly name: string
  readonly secret: string
  readonly scopes: readonly Scope[]
  readonly expiresAt?: number
  readonly allowedNetworks?: readonly string[]
}

/** What bounds a key: what it may do, from where, and until when. */
export type KeyBounds = Pick<AdminKey, 'scopes' | 'expiresAt' | 'allowedNetworks'>

export function isLiveKey({ expiresAt }: AdminKey, now: number): boolean {
  return expiresAt === undefined || expiresAt > now
}

/** @param address the client's, in its one form */
export function mayComeFrom({ allowedNetworks }: KeyBounds, address: string): boolean {
  return allowedNetworks === undefined || createNetworks(allowedNetworks)(address)
}

/**
 * In what `wanted` goes beyond `own`; empty where it does not. A key that made, or took over, one with more than it has
 * itself would have given that to itself.
 */
export function excessOf(
  own: KeyBounds,
  wanted: KeyBounds,
): readonly { readonly of: keyof KeyBounds; readonly message: string }[] {
  const scopes = beyond(own.scopes, wanted.scopes)
  return [
    ...(scopes.length > 0
      ? [{ of: 'scopes' as const, message: `goes beyond your key, which lacks ${scopes.join(', ')}` }]
      : []),
    ...(own.expiresAt !== undefined && (wanted.expiresAt ?? Number.POSITIVE_INFINITY) > own.expiresAt
      ? [{ of: 'expiresAt' as const, message: 'goes beyond your key, which ends before' }]
      : []),
    ...(own.allowedNetworks !== undefined && !isWithinNetworks(wanted.allowedNetworks, own.allowedNetworks)
      ? [{ of: 'allowedNetworks' as const, message: 'goes beyond your key, which is for fewer networks' }]
      : []),
  ]
}
