import type { Clock } from '#core/clock.ts'

/**
 * When an upstream rests. A failure (no connection, 5xx, 429) sends it to rest for a second, the next one after
 * that for two, and so on to a minute; what it asks for by `Retry-After` is kept, within bounds, since a wrong
 * header must not take it out for a day. Many requests that fail at once are one failure, and an answer to a
 * request that was sent before the rest began proves nothing about now.
 */
export interface Health {
  readonly isResting: () => boolean
  /** Epoch milliseconds; in the past where it does not rest. */
  readonly restsUntil: () => number
  readonly succeeded: (sentAt: number) => void
  readonly failed: (retryAfterMs?: number) => void
}

const restFirstMs = 1000
const restMaxMs = 60_000
const retryAfterMaxMs = 600_000

export function createHealth(clock: Clock): Health {
  let failures = 0
  let restedFrom = 0
  let until = 0
  return {
    isResting: () => until > clock(),
    restsUntil: () => until,
    succeeded(sentAt) {
      if (failures === 0 || sentAt < restedFrom) return
      failures = 0
      until = 0
    },
    failed(retryAfterMs = 0) {
      const now = clock()
      const asked = now + Math.min(retryAfterMs, retryAfterMaxMs)
      if (until > now) {
        until = Math.max(until, asked)
        return
      }
      failures += 1
      restedFrom = now
      until = Math.max(now + Math.min(restFirstMs * 2 ** (failures - 1), restMaxMs), asked)
    },
  }
}
