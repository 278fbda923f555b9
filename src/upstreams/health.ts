import type { Clock } from '#core/clock.ts'

/**
 * When an upstream rests, that is, gets no requests. After a failure (no connection, or 429, 503, 529) it rests for a
 * second, after the next one for two, and so on to a minute. Its `Retry-After` is obeyed within bounds, since a wrong
 * header must not exclude it for a day. Many requests that fail at the same time are one failure, and an answer to a
 * request that was sent before the rest began does not end the rest.
 *
 * A doubt (500, 502, an answer that broke off) may be the fault of the request, and one user's malformed requests must
 * not exclude the upstream for all others. It counts as a failure when it happened to another user as well, without a
 * good answer in between.
 */
export interface Health {
  readonly isResting: () => boolean
  /** Epoch milliseconds; in the past where it does not rest. */
  readonly restsUntil: () => number
  /** A good answer has begun. */
  readonly succeeded: (sentAt: number) => void
  /** A good answer has come to its end. */
  readonly completed: () => void
  /** @param reason in a few words, for the operator */
  readonly failed: (retryAfterMs?: number, reason?: string) => void
  /** @param by the user of the request; the gateway's own requests do not count */
  readonly doubted: (
    by: string | undefined,
    doubt?: { retryAfterMs?: number | undefined; isBroken?: boolean; reason?: string },
  ) => void
}

/** Told once when an upstream begins to rest, and once when it answers well again. */
export interface HealthWords {
  readonly onRest: (reason: string | undefined) => void
  /** @param forMs since it began to rest */
  readonly onReturn: (forMs: number) => void
}

const restFirstMs = 1000
const restMaxMs = 60_000
const retryAfterMaxMs = 600_000
/** A doubt older than the longest rest no longer counts. */
const doubtMs = restMaxMs

export function createHealth(clock: Clock, words?: HealthWords): Health {
  let failures = 0
  let restedFrom = 0
  let goneFrom = 0
  let until = 0
  /** The latest doubt of one user, and the latest of any other. */
  let doubt: Doubt | undefined
  let otherDoubt: Doubt | undefined

  function failed(retryAfterMs = 0, reason?: string): void {
    const now = clock()
    const asked = now + Math.min(retryAfterMs, retryAfterMaxMs)
    if (until > now) {
      until = Math.max(until, asked)
      return
    }
    failures += 1
    restedFrom = now
    until = Math.max(now + Math.min(restFirstMs * 2 ** (failures - 1), restMaxMs), asked)
    if (failures > 1) return
    goneFrom = now
    words?.onRest(reason)
  }

  return {
    isResting: () => until > clock(),
    restsUntil: () => until,
    succeeded(sentAt) {
      // An answer that has begun may still break off.
      if (!doubt?.isBroken) doubt = otherDoubt = undefined
      if (failures === 0 || sentAt < restedFrom) return
      failures = 0
      until = 0
      words?.onReturn(clock() - goneFrom)
    },
    completed() {
      doubt = otherDoubt = undefined
    },
    failed,
    doubted(by, { retryAfterMs, isBroken = false, reason } = {}) {
      if (by === undefined) return
      const now = clock()
      if (doubt && doubt.by !== by) otherDoubt = doubt
      doubt = { by, at: now, isBroken }
      if (otherDoubt && now - otherDoubt.at <= doubtMs) failed(retryAfterMs, reason)
    },
  }
}

interface Doubt {
  readonly by: string
  readonly at: number
  readonly isBroken: boolean
}
