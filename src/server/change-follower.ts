import { setTimeout as wait } from 'node:timers/promises'
import type { Store } from '#storage/store.ts'

/** Changes in one read, which with the embedded database holds up this thread. */
const changesAtOnce = 500
const readAgainMs = 400

/**
 * Tells of the users that change from now on, in order and none left out, whichever instance changes them.
 *
 * @param onChanged gets their ids, or `all` where some changes could not be told apart
 * @param onFailure called once for reads that fail, until one succeeds again
 * @returns how to stop
 */
export async function followChanges(
  store: {
    readonly changes: Pick<Store['changes'], 'readChanges' | 'lastChange'>
    readonly watchChanges: Store['watchChanges']
  },
  onChanged: (ids: readonly string[] | 'all') => void,
  onFailure: (error: unknown) => void,
): Promise<() => void> {
  let place = await store.changes.lastChange()
  let isNews = false
  let isReading = false
  let isClosed = false

  async function readNext(): Promise<void> {
    const read = await store.changes.readChanges(place, changesAtOnce)
    place = read.place
    if (read.kind === 'lost') onChanged('all')
    else {
      onChanged(read.changes.flatMap(({ kind, object }) => (mayBlock(kind) ? [object] : [])))
      if (read.changes.length === changesAtOnce) isNews = true
    }
  }

  async function readOn(): Promise<void> {
    isNews = true
    if (isReading) return
    isReading = true
    let hasFailed = false
    while (isNews && !isClosed) {
      isNews = false
      try {
        await readNext()
        hasFailed = false
      } catch (error) {
        if (!hasFailed) onFailure(error)
        hasFailed = true
        isNews = true
        await wait(readAgainMs, undefined, { ref: false })
      }
    }
    isReading = false
  }

  const stop = store.watchChanges(() => void readOn())
  return () => {
    isClosed = true
    stop()
  }
}

/** A user who was made has nothing that runs; an import makes a million of them. */
function mayBlock(kind: string): boolean {
  return kind.startsWith('user.') && kind !== 'user.created'
}
