import type { ChangeFields } from '#core/change.ts'
import { placeOf } from '#core/network.ts'
import { makeRoom } from '#lib/make-room.ts'
import type { AdminParts } from './context.ts'

/** Writes failed logins down, in a bounded number of rows: guesses must not fill the database. */
export type NoteFailedLogin = (failed: FailedLogin) => void

interface FailedLogin {
  readonly address: string
  readonly requestId: string
  /** What else is known of it. */
  readonly about?: ChangeFields
}

/** Further failures from a place within this time are counted, and told of with its next row. */
const quietMs = 10 * 60_000
const placesMax = 1_000
/** Rows of one process in an hour, whatever the number of places. */
const rowsAnHour = 100
const hourMs = 3_600_000

interface Place {
  readonly at: number
  /** Failures since its row. */
  more: number
}

export function createFailedLogins({
  store,
  clock,
  log,
}: Pick<AdminParts, 'store' | 'clock' | 'log'>): NoteFailedLogin {
  const places = new Map<string, Place>()
  let hour = { at: Number.NEGATIVE_INFINITY, rows: 0 }

  return ({ address, requestId, about }) => {
    const now = clock()
    const place = placeOf(address)
    const known = places.get(place)
    if (known && Math.abs(now - known.at) < quietMs) {
      known.more += 1
      return
    }
    if (Math.abs(now - hour.at) >= hourMs) hour = { at: now, rows: 0 }
    if (hour.rows >= rowsAnHour) return
    hour.rows += 1
    makeRoom(places, placesMax)
    places.delete(place)
    places.set(place, { at: now, more: 0 })
    const by = { now, actor: { kind: 'unknown' as const }, requestId, address }
    const after = { attempts: 1 + (known?.more ?? 0), ...about }
    // The answer does not wait for it: it would tell a guesser how busy the database is.
    store.changes
      .noteChange({ by, kind: 'login.failed', object: 'admin', after })
      .catch((err: unknown) => log.error({ err, requestId }, 'a failed login could not be written down'))
  }
}
