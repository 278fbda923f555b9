import { StoreUnavailable } from '#storage/store.ts'

/** A question that waits for an answer of the store. */
export interface Waiting {
  /** By the monotonic clock, milliseconds. */
  readonly since: number
  readonly reject: (error: unknown) => void
  /** Its deadline has passed and its caller was told so, whether or not the store answers later. */
  isGivenUp: boolean
}

const lookMs = 250

/**
 * Rejects each question that has waited for `ms` with `StoreUnavailable`: a connection that the network has dropped may
 * stay silent for long.
 *
 * @param lists all waiting questions, the oldest first in each list
 */
export function openDeadlines(
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
