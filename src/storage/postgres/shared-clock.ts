import { type Kysely, sql } from 'kysely'
import type { Clock } from '#core/clock.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * All instances use the database's clock. Without it, the difference between two machines' clocks would shift
 * periods, expiries and rates between them, and a user who was disabled on one instance would still be admitted by
 * another.
 */
export interface SharedClock {
  /** The database's time, epoch milliseconds; also measures the difference to this machine's clock. */
  readonly read: () => Promise<number>
  /** Corrects a clock of this machine by the measured difference. */
  readonly correct: (clock: Clock) => Clock
}

/** Tolerated clock skew: correcting less would only make a good clock jump. */
const toleratedMs = 250
/** An answer that took longer is too old to measure by. */
const answerMsMax = 1_000

/** @param local this machine's clock */
export function createSharedClock(db: Kysely<Schema>, local: Clock = Date.now): SharedClock {
  let aheadMs = 0
  return {
    async read() {
      const askedAt = local()
      const { rows } = await sql<{ now: number }>`
        select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
      const answeredAt = local()
      const now = rows[0]?.now ?? answeredAt
      if (answeredAt - askedAt <= answerMsMax) {
        const difference = Math.round((askedAt + answeredAt) / 2 - now)
        aheadMs = Math.abs(difference) > toleratedMs ? difference : 0
      }
      return now
    },
    correct: (clock) => () => clock() - aheadMs,
  }
}
