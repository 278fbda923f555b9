import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PolicySettings } from '#core/policy-settings.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserFilter } from '#core/user-list.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { book, newUserId } from '../support/ledger.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000

async function edit(store: Store, id: string, change: UserEdit): Promise<void> {
  const result = await store.users.writeUsers([{ ref: { id }, edit: change }], by(now))
  assert.equal(result.kind, 'written')
}

async function idsOf(store: Store, filter: UserFilter): Promise<readonly string[]> {
  const { users } = await store.users.listUsers({ filter, limit: 100, now })
  assert.equal(await store.users.countUsers(filter, now), users.length)
  return users.map(({ id }) => id)
}

for (const { name, create: createDatabase } of databases) {
  describe(`tags and what users are found by on ${name}`, () => {
    it('keeps tags in their order, each once, unless an edit says otherwise', () =>
      withStore(createDatabase, async (store, database) => {
        const id = await newUserId(store, now, { tags: ['blue', 'team a', 'blue', 'Ünï'] })
        const tags = async () => (await store.users.findUser({ id }, now))?.tags
        const rows = async () =>
          (await database.rows('select tag from user_tags order by tag')).map(({ tag }) => tag)
        assert.deepEqual(await tags(), ['blue', 'team a', 'Ünï'])
        await edit(store, id, { nickname: 'Ann' })
        assert.deepEqual(await tags(), ['blue', 'team a', 'Ünï'])
        await edit(store, id, { tags: ['red', 'blue'] })
        assert.deepEqual(await tags(), ['red', 'blue'])
        assert.deepEqual(await rows(), ['blue', 'red'])
        await edit(store, id, { tags: null })
        assert.equal(await tags(), undefined)
        assert.deepEqual(await rows(), [])
        await edit(store, id, { tags: ['x'] })
        await edit(store, id, { tags: [] })
        assert.equal(await tags(), undefined)
        assert.deepEqual(await rows(), [])
      }))

    it('finds users by one tag or by all of several', () =>
      withStore(createDatabase, async (store) => {
        const both = await newUserId(store, now, { tags: ['a', 'b'] })
        const one = await newUserId(store, now + 1, { tags: ['a'] })
        await newUserId(store, now + 2, {})
        assert.deepEqual(await idsOf(store, { tags: ['a'] }), [both, one])
        assert.deepEqual(await idsOf(store, { tags: ['a', 'b'] }), [both])
        assert.deepEqual(await idsOf(store, { tags: ['A'] }), [])
      }))

    it('searches tags, note and meta beside the name, and forgets what is cleared', () =>
      withStore(createDatabase, async (store, database) => {
        const ann = await newUserId(store, now, { nickname: 'Ann of Ghent', tags: ['Überflieger'] })
        const bob = await newUserId(store, now + 1, { adminNote: 'pays 100%_\nlate' })
        const eve = await newUserId(store, now + 2, {
          meta: { team: { name: 'Größe' }, list: ['x', { deep: true }], none: null },
        })
        assert.deepEqual(await idsOf(store, { text: 'überFLIEGER' }), [ann])
        assert.deepEqual(await idsOf(store, { text: 'ANN OF' }), [ann])
        assert.deepEqual(await idsOf(store, { text: '100%_' }), [bob])
        assert.deepEqual(await idsOf(store, { text: '100__' }), [])
        assert.deepEqual(await idsOf(store, { text: 'Team.Name: GRÖSSE'.replace('SS', 'ß') }), [eve])
        assert.deepEqual(await idsOf(store, { text: 'list.deep: true' }), [eve])
        await edit(store, bob, { adminNote: 'pays at once' })
        assert.deepEqual(await idsOf(store, { text: 'late' }), [])
        assert.deepEqual(await idsOf(store, { text: 'at once' }), [bob])
        for (const id of [ann, bob, eve]) await edit(store, id, { adminNote: null, meta: null, tags: null })
        assert.deepEqual(await database.rows('select * from search_texts'), [])
      }))

    it('finds users by their last use and by how many addresses are kept', () =>
      withStore(createDatabase, async (store) => {
        const idle = await newUserId(store, now, { lastUsedAt: now - 40 * dayMs, addresses: ['192.0.2.1'] })
        const busy = await newUserId(store, now + 1, {
          lastUsedAt: now,
          addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
        })
        const never = await newUserId(store, now + 2, {})
        assert.deepEqual(await idsOf(store, { usedBefore: now - dayMs }), [idle, never])
        assert.deepEqual(await idsOf(store, { usedFrom: now - dayMs }), [busy])
        assert.deepEqual(await idsOf(store, { usedFrom: now - 41 * dayMs, usedBefore: now }), [idle])
        assert.deepEqual(await idsOf(store, { addressesMin: 2 }), [busy])
        assert.deepEqual(await idsOf(store, { addressesMin: 1 }), [idle, busy])
      }))

    const daily: PolicySettings = {
      ...testPolicy,
      defaults: { period: 'daily' },
      limits: { claude: 1000 },
    }
    it('finds users by the share of a quota that is used, as a reader of the quota sees it', () =>
      withStore(
        createDatabase,
        async (store) => {
          const half = await newUserId(store, now, { quotaUsed: { claude: 500 } })
          const own = await newUserId(store, now + 1, {
            quotaLimits: { claude: 100 },
            quotaUsed: { claude: 90 },
          })
          const more = await newUserId(store, now + 2, { quotaUsed: { claude: 900 } })
          await edit(store, more, { quotaExtra: { claude: 1000 } })
          await newUserId(store, now + 3, { type: 'special', quotaUsed: { claude: 5000 } })
          await newUserId(store, now + 4, { quotaLimits: { claude: -1 }, quotaUsed: { claude: 5000 } })
          await newUserId(store, now + 5, { quotaLimits: { claude: 0 } })
          const turbo = await newUserId(store, now + 6, {
            quotaLimits: { turbo: 10 },
            quotaUsed: { turbo: 12 },
          })
          const share = (percent: number, family?: string) =>
            idsOf(store, { usedShare: { percent, ...(family && { family }) } })
          assert.deepEqual(await share(80), [own, turbo])
          assert.deepEqual(await share(50), [half, own, turbo])
          assert.deepEqual(await share(45, 'claude'), [half, own, more])
          assert.deepEqual(await share(120), [turbo])
          assert.deepEqual(await share(121), [])
          const tomorrow = await store.users.listUsers({
            filter: { usedShare: { percent: 1 } },
            limit: 9,
            now: now + dayMs,
          })
          assert.deepEqual(tomorrow.users, [])
        },
        { policy: daily },
      ))

    it('counts usage with each tag that its user carries now', () =>
      withStore(createDatabase, async (store) => {
        const both = await newUserId(store, now, { tags: ['a', 'b'] })
        const one = await newUserId(store, now, { tags: ['a'] })
        const none = await newUserId(store, now)
        for (const [userId, input] of [
          [both, 1],
          [one, 20],
          [none, 300],
        ] as const)
          for (const at of [now - 3 * dayMs, now])
            await book(store, { userId, at, model: input > 1 ? 'claude-x' : 'claude-y', usage: { input } })
        await store.upkeep.gatherUsage(now - dayMs, 100)
        const ask = async (more: object, bucket: 'hour' | 'day' = 'day') => {
          const range = { bucket, from: now - dayMs, to: now + dayMs, limit: 99 }
          const rows = await store.usage.readUsage({ ...range, groupBy: ['tag'], ...more })
          return rows.map(({ tag, userId, model, usage }) => [tag ?? userId ?? model ?? '-', usage.input])
        }
        const sums = [
          ['', 300],
          ['a', 21],
          ['b', 1],
        ]
        assert.deepEqual(await ask({}), sums)
        assert.deepEqual(await ask({}, 'hour'), sums)
        assert.deepEqual(await ask({ from: now - 3 * dayMs, to: now - 2 * dayMs }), sums)
        assert.deepEqual(await ask({ tag: 'a' }), [
          ['a', 21],
          ['b', 1],
        ])
        assert.deepEqual(await ask({ tag: 'a', groupBy: [] }), [['-', 21]])
        assert.deepEqual(await ask({ tag: 'a', groupBy: ['model'] }), [
          ['claude-x', 20],
          ['claude-y', 1],
        ])
        assert.deepEqual(
          (await ask({ groupBy: ['user', 'tag'] })).map(([, input]) => input).toSorted(),
          [1, 1, 20, 300],
        )
        await edit(store, none, { tags: ['c'] })
        assert.deepEqual(await ask({}), [
          ['a', 21],
          ['b', 1],
          ['c', 300],
        ])
      }))

    it('removes them with the user', () =>
      withStore(createDatabase, async (store, database) => {
        const past = { type: 'temporary', expiresAt: now + 1 } as const
        await newUserId(store, now, { ...past, tags: ['a'], adminNote: 'gone soon' })
        assert.equal(await store.upkeep.purgeUsers(Date.now() + 1, 10, by(Date.now())), 1)
        for (const table of ['users', 'user_tags', 'search_texts'])
          assert.deepEqual(await database.rows(`select * from ${table}`), [], table)
      }))
  })
}
