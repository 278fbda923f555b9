import { doApart } from '#lib/apart.ts'
import { StoreFault, type UpkeepStore } from '#storage/store.ts'
import type { AddressKey, ExpiredUser, ExpiryKey, Found, OldMinutes, UpkeepFinder } from './find.ts'
import type { UpkeepWriter } from './write.ts'

/**
 * Upkeep in small batches. Where an index leads to what is to be done, writing finds it itself; elsewhere somebody
 * who holds nobody up reads through the table, a batch takes of what was found, and the reading goes on where it
 * was when that is used up. The end of the table is the end of a pass, and the next question begins another.
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
    purgeCorrections: write.removeCorrections,
    purgeUsers: (expiredBefore, limit) =>
      users((after) => find.findExpiredUsers(expiredBefore, after), write.removeUsers, limit),
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

/** @param rowsOf what an item counts towards a batch's limit; a batch takes one item whatever it counts */
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
        // What is gone by now counts nothing, and is no reason to believe that there is no more.
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
        // Nothing is left but what cannot be read or written: the pass ends by saying so.
        const error = fault
        fault = undefined
        throw error
      }
    }
  }
}
