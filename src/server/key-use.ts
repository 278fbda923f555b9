import type { Clock } from '#core/clock.ts'
import type { AdminKeyStore } from '#storage/store.ts'

/** When admin keys were last used, noted in memory and written a batch at a time. */
export interface KeyUse {
  /** Notes that a key has opened something. Cheap: it is called for each request of another gateway. */
  readonly used: (id: string) => void
  /** The same keys; a list shows what is not written yet as well. */
  readonly keys: AdminKeyStore
  /** Writes what was noted. */
  readonly close: () => Promise<void>
}

const writtenEveryMs = 30_000

/** @param onFailure called where a write fails; what was noted is written with the next batch */
export function openKeyUse(
  keys: AdminKeyStore,
  clock: Clock,
  onFailure: (error: unknown) => void,
  everyMs = writtenEveryMs,
): KeyUse {
  const unwritten = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined

  async function write(): Promise<void> {
    const uses = [...unwritten].map(([id, at]) => ({ id, at }))
    if (uses.length === 0) return
    try {
      await keys.noteAdminKeyUse(uses)
      for (const { id, at } of uses) if (unwritten.get(id) === at) unwritten.delete(id)
    } catch (error) {
      onFailure(error)
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      timer = undefined
      writing = write().then(() => {
        // What was noted meanwhile, or could not be written.
        if (unwritten.size > 0 && !isClosed) schedule()
      })
    }, everyMs)
    timer.unref()
  }

  let isClosed = false
  return {
    used(id) {
      unwritten.set(id, clock())
      if (timer === undefined && !isClosed) schedule()
    },
    keys: {
      ...keys,
      listAdminKeys: async () =>
        (await keys.listAdminKeys()).map((key) => {
          const at = Math.max(unwritten.get(key.id) ?? 0, key.lastUsedAt ?? 0)
          return at === 0 ? key : { ...key, lastUsedAt: at }
        }),
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      await writing
      await write()
    },
  }
}
