import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ExpiredUser, OldMinutes, UpkeepFinder } from './find.ts'
import { createUpkeep } from './sweep.ts'
import type { UpkeepWriter } from './write.ts'

const nothing = async () => 0
const writer: UpkeepWriter = {
  gatherMinutes: nothing,
  gatherRequests: nothing,
  removeMinutes: nothing,
  removeEntries: nothing,
  removeEvents: nothing,
  removeUsers: nothing,
  removeAddresses: nothing,
  removeChanges: nothing,
  removeCorrections: nothing,
  removeClaims: nothing,
  removeTokens: nothing,
  removeTraces: nothing,
}
const finder: UpkeepFinder = {
  findOldMinutes: async () => ({ items: [] }),
  findExpiredUsers: async () => ({ items: [] }),
  findOldAddresses: async () => ({ items: [] }),
}

const by = { now: 0, actor: { kind: 'upkeep' } } as const

describe('upkeep that reads through a table', () => {
  /** Users by their number, read three at a time; only those of `removable` can be removed. */
  function usersUpTo(count: number, removable: (id: number) => boolean) {
    const found: number[] = []
    const removed: string[] = []
    const upkeep = createUpkeep(
      {
        ...finder,
        async findExpiredUsers(_before, after) {
          found.push(after.expiresAt)
          const from = after.expiresAt + 1
          const items = Array.from({ length: Math.min(3, count - from) }, (_, index) => ({
            id: String(from + index),
            expiresAt: from + index,
            setAt: null,
          }))
          const last = items.at(-1)
          return { items: items.filter(({ expiresAt }) => expiresAt % 2 === 0), ...(last && { next: last }) }
        },
      },
      {
        ...writer,
        async removeUsers(users: readonly ExpiredUser[]) {
          const those = users.filter(({ expiresAt }) => removable(expiresAt))
          removed.push(...those.map(({ id }) => id))
          return those.length
        },
      },
    )
    return { upkeep, found, removed }
  }

  it('goes on where it was, to the end, and begins anew', async () => {
    const { upkeep, found, removed } = usersUpTo(10, () => true)
    const counts: number[] = []
    for (let call = 0; call < 7; call++) counts.push(await upkeep.purgeUsers(0, 1, by))
    assert.deepEqual(counts, [1, 1, 1, 1, 1, 0, 1])
    assert.deepEqual(removed, ['0', '2', '4', '6', '8', '0'])
    assert.deepEqual(found, [-1, 2, 5, 8, 9, -1])
  })

  it('does not take what is there no more for the end', async () => {
    const { upkeep, removed } = usersUpTo(10, (id) => id > 5)
    assert.equal(await upkeep.purgeUsers(0, 1, by), 1)
    assert.deepEqual(removed, ['6'])
  })

  it('fills a batch up to its limit, and lets nothing that is larger stop it', async () => {
    const hours: OldMinutes[] = [3, 3, 3, 50, 1].map((rows, index) => ({
      userId: 'u',
      hourAt: index,
      rows,
    }))
    const batches: number[][] = []
    const upkeep = createUpkeep(
      { ...finder, findOldMinutes: async () => ({ items: hours }) },
      {
        ...writer,
        async gatherMinutes(picked) {
          batches.push(picked.map(({ rows }) => rows))
          return picked.length
        },
      },
    )
    while ((await upkeep.gatherUsage(0, 6)) > 0);
    assert.deepEqual(batches, [[3, 3], [3], [50], [1]])
  })
})
