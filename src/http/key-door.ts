import type { Throttle } from './throttle.ts'

/** An admin key as far as a door looks at it. */
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
 * Looks an admin key up, also where others guess: an administrator, or a proxy that asks for many, must not be shut
 * out by neighbours. Keys that were made here cannot be guessed. One that was chosen is let in as long as not more of
 * them were tried from there than the door has rations for.
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
    // A good key in the wrong place is no guess; nor does it take back those that were made from here.
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
