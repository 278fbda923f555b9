import { type AdminKey, mayComeFrom } from '#core/admin-key.ts'
import { allows, type Need } from '#core/scopes.ts'
import type { Throttle } from './throttle.ts'

export type KeyFound =
  | { readonly kind: 'in'; readonly key: AdminKey }
  | { readonly kind: 'out_of_scope'; readonly key: AdminKey }
  /** The key is not for this address. */
  | { readonly kind: 'elsewhere'; readonly key: AdminKey }
  /** Its stored row cannot be read, so that it opens nothing. */
  | { readonly kind: 'damaged'; readonly key: AdminKey }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'throttled'; readonly waitMs: number }

export interface PresentedKey {
  readonly secret: string
  /** Whose guesses count together. */
  readonly address: string
  /** Which the key must allow. */
  readonly from: string
  readonly need: Need
}

export interface KeyDirectory {
  readonly find: () => Promise<AdminKey | undefined>
  /** Called with the id of a key that opens something. It must cost nothing: it is called for each request. */
  readonly used: (id: string) => void
}

/**
 * Looks an admin key up, also from a blocked place: an administrator, or a proxy that asks for many clients, must not
 * be shut out by guesses of others at the same address. Keys made by Tollgate cannot be guessed. A chosen key is
 * compared within a rate limit of the place.
 */
export async function findKey(
  throttle: Throttle,
  { address, secret, from, need }: PresentedKey,
  keys: KeyDirectory,
): Promise<KeyFound> {
  const taken = await throttle.take(address, secret, () => true)
  if (taken.kind === 'closed') return throttled(taken.waitMs)
  const { guess } = taken
  try {
    const key = await keys.find()
    if (!key) return throttled(guess.wrong()) ?? { kind: 'unknown' }
    const rationedMs = key.isGuessable ? guess.rationedMs() : undefined
    if (rationedMs !== undefined) return throttled(rationedMs)
    if (key.isDamaged) return throttled(guess.known()) ?? { kind: 'damaged', key }
    // A valid key of another scope does not count as a guess, and takes no guess off the count.
    if (!allows(key.scopes, need)) return throttled(guess.known()) ?? { kind: 'out_of_scope', key }
    if (!mayComeFrom(key, from)) return throttled(guess.known()) ?? { kind: 'elsewhere', key }
    guess.admitted()
    keys.used(key.id)
    return { kind: 'in', key }
  } finally {
    guess.dropped()
  }
}

/** What a refused caller does about it. */
export const damagedKeyAdvice =
  'The stored row of this key is damaged, so that it opens nothing: make another key, and delete this one.'
export const damagedKeyNews = 'an admin key whose row cannot be read was presented'

function throttled(waitMs: number): { readonly kind: 'throttled'; readonly waitMs: number }
function throttled(
  waitMs: number | undefined,
): { readonly kind: 'throttled'; readonly waitMs: number } | undefined
function throttled(waitMs: number | undefined) {
  return waitMs === undefined ? undefined : { kind: 'throttled', waitMs }
}
