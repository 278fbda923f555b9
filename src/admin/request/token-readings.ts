import type { By, ChangeFields } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import { placeOf } from '#core/network.ts'
import type { Log } from '#http/log.ts'
import { makeRoom } from '#lib/make-room.ts'
import type { Store } from '#storage/store.ts'

/**
 * The users whose access tokens an answer shows in clear. `all`: a list of all users, whose number is known only at its
 * end.
 */
export type ShownTokens = readonly string[] | 'all'

/**
 * Writes down which key has read access tokens in clear, in a bounded number of rows: one for the first answer to a key
 * and place, and one for all others that it gets within the next minute.
 */
export interface TokenReadings {
  /** @param isRead the answer to a reading request; that to a write has a change beside it, where it changed anything */
  readonly note: (by: By, shown: ShownTokens, isRead: boolean) => void
  /** Writes what is collected. */
  readonly close: () => Promise<void>
}

interface Window {
  /** Of the first answer that was not written down yet. */
  by: By | undefined
  lists: number
  users: number
  readonly ids: Set<string>
}

const windowMs = 60_000
/** So many users are named in a row; further ones are counted. */
const idsMax = 100
const windowsMax = 1_000

export function createTokenReadings(
  { changes }: Pick<Store, 'changes'>,
  clock: Clock,
  log: Log,
  everyMs = windowMs,
): TokenReadings {
  const windows = new Map<string, Window>()
  const writing = new Set<Promise<void>>()

  function write(window: Window): void {
    const { by } = window
    if (!by) return
    const change = { by: { ...by, now: clock() }, kind: 'users.tokens_read', object: 'users' } as const
    // The answer does not wait for it: reading goes on while the database takes no writes. The log then has the line.
    const written = changes
      .noteChange({ ...change, after: emptied(window) })
      .catch((err: unknown) => {
        const { requestId, actor } = by
        log.error(
          { err, requestId, adminKeyId: actor.id },
          'a reading of access tokens could not be written down',
        )
      })
      .finally(() => writing.delete(written))
    writing.add(written)
  }

  function opened(key: string): Window {
    const window: Window = { by: undefined, lists: 0, users: 0, ids: new Set() }
    const [oldest] = windows.values()
    if (windows.size >= windowsMax && oldest) write(oldest)
    makeRoom(windows, windowsMax)
    windows.set(key, window)
    setTimeout(() => {
      write(window)
      if (windows.get(key) === window) windows.delete(key)
    }, everyMs).unref()
    return window
  }

  return {
    note(by, shown, isRead) {
      const key = `${by.actor.kind} ${by.actor.id ?? ''} ${placeOf(by.address ?? '')}`
      const known = windows.get(key)
      const window = known ?? opened(key)
      window.by ??= by
      if (shown === 'all') window.lists += 1
      else {
        window.users += shown.length
        for (const id of shown) if (window.ids.size < idsMax) window.ids.add(id)
      }
      if (!known && isRead) write(window)
    },
    async close() {
      for (const window of windows.values()) write(window)
      windows.clear()
      await Promise.all(writing)
    },
  }
}

/** What was collected, which is then forgotten. */
function emptied(window: Window): ChangeFields {
  const { lists, users, ids } = window
  const fields = {
    ...(lists > 0 && { lists }),
    ...(users > 0 && { users, ids: [...ids] }),
  }
  Object.assign(window, { by: undefined, lists: 0, users: 0 })
  ids.clear()
  return fields
}
