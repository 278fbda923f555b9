import { type Kysely, sql } from 'kysely'
import type { Clock } from '#core/clock.ts'
import type { Schema } from '#storage/schema/tables.ts'

/**
 * The database's clock is the one that all instances share. Where this machine's differs from it by more than
 * networks explain, periods, expiries and rates would be another instance's by so much, and somebody who was disabled
 * there would still be let in here.
 */
export interface SharedClock {
  /** The database's time, epoch milliseconds; looks how far this machine's is from it. */
  readonly read: () => Promise<number>
  /** A clock of this machine, set right. */
  readonly correct: (clock: Clock) => Clock
}

/** What differs by less is left alone: it would only make a good clock jump. */
const toleratedMs = 250
/** An answer that took longer says too little of when it was true. */
const answerMsMax = 1_000

/** @param local this machine's clock, which others may be told by `correct` to go by */
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
