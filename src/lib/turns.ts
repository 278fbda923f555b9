import { setImmediate } from 'node:timers/promises'

/** How long a loop may hold the process: others wait as long as that, and each turn costs a few microseconds. */
const holdMs = 5

/** For a long loop to call in each round: lets the event loop turn whenever some milliseconds have passed. */
export function createTurns(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < holdMs) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}
