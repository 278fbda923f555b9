import type { Throttle } from './throttle.ts'

/** The members of an admin key that are needed to authenticate it. */
interface Key {
  readonly scopes: readonly string[]
  readonly isGuessable?: boolean
}

export type KeyFound<K extends Key> =
  | { readonly kind: 'in'; readonly key: K }
  | { readonly kind: 'out_of_scope'; readonly key: K }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'throttled'; readonly waitMs: number }

/**
 * Looks an admin key up, also from a blocked place: an administrator, or a proxy that asks for many clients, must not
 * be shut out by guesses of others at the same address. Keys made by Tollgate cannot be guessed. A chosen key is
 * compared within a rate limit of the place.
 */
export async function findKey<K extends Key>(
  throttle: Throttle,
  { address, secret, scope }: { readonly address: string; readonly secret: string; readonly scope: string },
  find: () => Promise<K | undefined>,
): Promise<KeyFound<K>> {
  const taken = await throttle.take(address, secret, () => true)
  if (taken.kind === 'closed') return throttled(taken.waitMs)
  const { guess } = taken
  try {
    const key = await find()
    if (!key) return throttled(guess.wrong()) ?? { kind: 'unknown' }
    const rationedMs = key.isGuessable ? guess.rationedMs() : undefined
    if (rationedMs !== undefined) return throttled(rationedMs)
    // A valid key of another scope does not count as a guess, and takes no guess off the count.
    if (!key.scopes.includes(scope)) return throttled(guess.known()) ?? { kind: 'out_of_scope', key }
    guess.admitted()
    return { kind: 'in', key }
  } finally {
    guess.dropped()
  }
}

function throttled(waitMs: number): { readonly kind: 'throttled'; readonly waitMs: number }
function throttled(
  waitMs: number | undefined,
): { readonly kind: 'throttled'; readonly waitMs: number } | undefined
function throttled(waitMs: number | undefined) {
  return waitMs === undefined ? undefined : { kind: 'throttled', waitMs }
}
