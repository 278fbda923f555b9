import type { Clock } from '#core/clock.ts'
import type { Log } from '#http/log.ts'

/**
 * Models that belong to a family but that no upstream serves. The client gets the same error as for any unknown model.
 * The log and `/readyz` tell the operator that an upstream is missing.
 */
export interface Unserved {
  readonly note: (asked: Asked) => void
  /** A sentence for each protocol and family of the last hour. It names no model, since clients choose that text. */
  readonly notes: () => readonly string[]
}

interface Asked {
  readonly requestId: string
  readonly provider: string
  readonly model: string
  readonly family: string
}

const rememberedMs = 3_600_000
/** A client that asks again and again is logged once a minute. */
const quietMs = 60_000
const modelCharactersMax = 200

/** @param advice how an upstream is added */
export function createUnserved(clock: Clock, log: Log, advice: string): Unserved {
  // By protocol and family: both are the operator's, and few.
  const seen = new Map<
    string,
    { readonly provider: string; readonly family: string; at: number; loggedAt: number }
  >()
  return {
    note({ requestId, provider, model, family }) {
      const now = clock()
      const key = `${provider} ${family}`
      const known = seen.get(key)
      const isQuiet = known !== undefined && now - known.loggedAt < quietMs && now >= known.loggedAt
      seen.set(key, { provider, family, at: now, loggedAt: isQuiet ? known.loggedAt : now })
      if (isQuiet) return
      log.warn(
        { requestId, provider, family, model: model.slice(0, modelCharactersMax) },
        `no upstream serves a model that was asked for: ${advice}`,
      )
    },
    notes() {
      const now = clock()
      return [...seen.values()]
        .filter(({ at }) => now - at < rememberedMs)
        .map(({ provider, family }) => `no upstream serves ${family} on the routes of ${provider}: ${advice}`)
    },
  }
}
