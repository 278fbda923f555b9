import { doApart } from '#lib/apart.ts'
import { StoreFault, type UpkeepStore } from '#storage/store.ts'
import type { AddressKey, ExpiredUser, ExpiryKey, Found, OldMinutes, UpkeepFinder } from './find.ts'
import type { UpkeepWriter } from './write.ts'

/**
 * Upkeep in small batches. Where an index leads to the rows, the writer finds them itself. Elsewhere a reader that
 * blocks no request scans the table. Each batch takes some of the reader's findings; when they are used up, the scan
 * continues where it stopped. The end of the table ends a pass, and the next call begins another.
 */
export function createUpkeep(find: UpkeepFinder, write: UpkeepWriter): UpkeepStore {
  const minutes = createSweep<OldMinutes, string>('', ({ rows }) => rows)
  const users = createSweep<ExpiredUser, ExpiryKey>({ id: '', expiresAt: -1 }, () => 1)
  const addresses = createSweep<{ readonly lastSeenAt: number } & AddressKey, AddressKey>(
    { userId: '', address: '' },
    () => 1,
  )
  return {
    gatherUsage: (before, limit) =>
      minutes((after) => find.findOldMinutes(before, after), write.gatherMinutes, limit),
    gatherRequests: write.gatherRequests,
    purgeMinutes: write.removeMinutes,
    purgeEntries: write.removeEntries,
    purgeEvents: write.removeEvents,
    purgeChanges: write.removeChanges,
    purgeCorrections: write.removeCorrections,
    purgeClaims: write.removeClaims,
    purgeTokens: write.removeTokens,
    purgeTraces: write.removeTraces,
    purgeUsers: (expiredBefore, limit, by) =>
      users(
        (after) => find.findExpiredUsers(expiredBefore, after),
        (items) => write.removeUsers(items, by),
        limit,
      ),
    purgeAddresses: (now, limit) =>
      addresses((after) => find.findOldAddresses(now, after), write.removeAddresses, limit),
  }
}

const isFault = (error: unknown) => error instanceof StoreFault

type Sweep<Item, Place> = (
  find: (after: Place) => Promise<Found<Item, Place>>,
  apply: (items: readonly Item[]) => Promise<number>,
  limit: number,
) => Promise<number>

/** @param rowsOf how much an item counts towards a batch's limit; a batch takes at least one item */
function createSweep<Item, Place>(start: Place, rowsOf: (item: Item) => number): Sweep<Item, Place> {
  let waiting: Item[] = []
  let next: Place | undefined = start
  let fault: unknown

  function take(limit: number): readonly Item[] {
    let rows = 0
    let count = 0
    for (const item of waiting) {
      rows += rowsOf(item)
      if (count > 0 && rows > limit) break
      count++
    }
    return waiting.splice(0, count)
  }

  return async (find, apply, limit) => {
    for (;;) {
      if (waiting.length > 0) {
        // An item that is gone by now counts nothing, but there may be more after it.
        let count = 0
        const some = async (items: readonly Item[]) => {
          count += await apply(items)
        }
        await doApart(take(limit), some, isFault, (_, error) => {
          fault ??= error
        })
        if (count > 0) return count
      } else if (next !== undefined) {
        const found = await find(next)
        waiting = [...found.items]
        next = found.next
      } else {
        next = start
        if (fault === undefined) return 0
        // Only items that cannot be read or written are left: the pass ends with their error.
        const error = fault
        fault = undefined
        throw error
      }
    }
  }
}
