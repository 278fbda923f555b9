import { setImmediate } from 'node:timers/promises'

/**
 * How long a loop may run before it yields: other requests wait as long as that, and each turn costs a few
 * microseconds.
 */
const holdMs = 5

/** For a long loop to call in each round: yields to the event loop whenever some milliseconds have passed. */
export function createTurns(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < holdMs) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}
