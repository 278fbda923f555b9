import { StoreUnavailable } from '#storage/store.ts'

/** Somebody who waits for an answer of the store. */
export interface Waiting {
  /** By the clock that nobody sets, milliseconds. */
  readonly since: number
  readonly reject: (error: unknown) => void
  /** Has been told that the store is away, whatever becomes of the question. */
  isGivenUp: boolean
}

const lookMs = 250

/**
 * Tells whoever has waited for `ms` that the store is away: a connection that the network has swallowed says nothing
 * for long.
 *
 * @param lists all who wait now; in each the one who waits longest stands first
 */
export function openPatience(
  ms: number,
  lists: () => Iterable<readonly Waiting[]>,
): { readonly close: () => void } {
  const timer = setInterval(() => {
    const before = performance.now() - ms
    for (const list of lists())
      for (const waiting of list) {
        if (waiting.since > before) break
        if (!waiting.isGivenUp) waiting.reject(new StoreUnavailable(new Error(`no answer in ${ms} ms`)))
        waiting.isGivenUp = true
      }
  }, lookMs).unref()
  return { close: () => clearInterval(timer) }
}
