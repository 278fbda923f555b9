import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserCursor, UserFilter, UserSortField } from '#core/user-list.ts'
import { bounds } from '#storage/schema/migrations/0003-bounds.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const unused = { extra: 0, used: 0, reserved: 0, openRequests: 0 }

async function create(store: Store, edit: UserEdit = {}, at = now): Promise<User> {
  const result = await store.users.insertUser(edit, by(at))
  assert.equal(result.kind, 'created')
  return result.kind === 'created' ? result.user : assert.fail()
}

/** Every user of a filter and sort, page by page. */
async function listAll(
  store: Store,
  limit: number,
  sort?: { field: UserSortField; descending: boolean },
  filter: UserFilter = {},
) {
  const users: User[] = []
  let after: UserCursor | undefined
  do {
    const page = await store.users.listUsers({
      limit,
      now,
      filter,
      ...(sort && { sort }),
      ...(after && { after }),
    })
    users.push(...page.users)
    after = page.next
  } while (after)
  return users
}

for (const { name, create: createDatabase } of databases) {
  describe(`users on ${name}`, () => {
    it('finds a new user by id and by access token, and nobody by anything else', () =>
      withStore(createDatabase, async (store) => {
        const user = await create(store, {
          nickname: 'Ann',
          quotaLimits: { claude: 5 },
          meta: { a: [1] },
          limits: { allowedNetworks: ['10.0.0.0/8'] },
        })
        assert.match(user.accessToken, /^sk-tg-/)
        assert.deepEqual(await store.users.findUser({ id: user.id }, now), user)
        assert.deepEqual(await store.users.findUser({ accessToken: user.accessToken }, now), user)
        assert.deepEqual(user.quotas.get('claude'), { ...unused, limit: 5 })
        assert.equal(await store.users.findUser({ accessToken: user.id }, now), undefined)
        assert.equal(await store.users.findUser({ id: user.accessToken }, now), undefined)
        assert.equal(await store.users.knowsAccessToken(user.accessToken), true)
        assert.equal(await store.users.knowsAccessToken('sk-tg-none'), false)
      }))

    it('keeps any given access token apart from every other', () =>
      withStore(createDatabase, async (store) => {
        const given = [
          '__proto__',
          'constructor',
          'a/b',
          'A/B',
          ' ',
          'é',
          'e\u0301',
          '🎟️',
          'x'.repeat(512),
          "'; drop table users; --",
        ]
        const result = await store.users.writeUsers(
          given.map((accessToken, index) => ({ ref: { accessToken }, edit: { promptCount: index } })),
          by(now),
        )
        assert.equal(result.kind, 'written')
        for (const [index, accessToken] of given.entries()) {
          const user = await store.users.findUser({ accessToken }, now)
          assert.equal(user?.accessToken, accessToken)
          assert.equal(user?.promptCount, index)
        }
        assert.equal(await store.users.countUsers({}, now), given.length)
      }))

    it('writes many in order, the later one winning, in one go', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { nickname: 'Ann', quotaLimits: { claude: 5, gpt4: 6 } })
        const result = await store.users.writeUsers(
          [
            { ref: { id: ann.id }, edit: { quotaLimits: { claude: 9 } } },
            { ref: { accessToken: 'new' }, edit: { nickname: 'first' } },
            { ref: { accessToken: ann.accessToken }, edit: { nickname: 'Anna' } },
            { ref: { accessToken: 'new' }, edit: { nickname: 'second', type: 'special' } },
          ],
          by(now),
        )
        assert.equal(result.kind, 'written')
        if (result.kind !== 'written') return
        assert.deepEqual(
          result.users.map((user) => user.nickname),
          ['Anna', 'second', 'Anna', 'second'],
        )
        const after = await store.users.findUser({ id: ann.id }, now)
        assert.deepEqual(
          [...(after?.quotas ?? [])].map(([family, quota]) => [family, quota.limit]).toSorted(),
          [
            ['claude', 9],
            ['gpt4', 6],
          ],
        )
        assert.equal(after?.revision, 2)
        assert.equal(await store.users.countUsers({}, now), 2)
      }))

    it('changes nothing at all where one write is wrong', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { nickname: 'Ann' })
        const good = { ref: { id: ann.id }, edit: { nickname: 'changed' } }
        const fresh = { ref: { accessToken: 'fresh' }, edit: {} }
        const unknown = await store.users.writeUsers(
          [good, fresh, { ref: { id: 'usr_000000000000000000000000' }, edit: {} }],
          by(now),
        )
        assert.deepEqual(unknown, { kind: 'unknown', index: 2 })
        const invalid = await store.users.writeUsers(
          [good, fresh, good, { ref: { accessToken: 'fresh' }, edit: { type: 'temporary' } }],
          by(now),
        )
        assert.deepEqual(invalid, {
          kind: 'invalid',
          index: 3,
          issues: [{ path: 'expiresAt', message: 'a temporary user needs expiresAt' }],
        })
        const stale = await store.users.writeUsers([fresh, { ...good, expectedRevision: 7 }], by(now))
        assert.deepEqual(stale, { kind: 'stale', index: 1 })
        assert.deepEqual(await store.users.writeUsers([{ ...fresh, expectedRevision: 'any' }], by(now)), {
          kind: 'stale',
          index: 0,
        })
        assert.deepEqual(await listAll(store, 10), [ann])
        const current = await store.users.writeUsers([{ ...good, expectedRevision: ann.revision }], by(now))
        assert.equal(current.kind, 'written')
      }))

    it('books a count that was set as an adjustment, within the period', () =>
      withStore(
        createDatabase,
        async (store) => {
          const ann = await create(store, { quotaUsed: { claude: 40 } })
          assert.equal(ann.quotas.get('claude')?.used, 40)
          const tomorrow = now + 86_400_000
          assert.equal((await store.users.findUser({ id: ann.id }, tomorrow))?.quotas.get('claude')?.used, 0)
          const result = await store.users.writeUsers(
            [{ ref: { id: ann.id }, edit: { quotaUsed: { claude: 7, gpt4: 0 } } }],
            by(tomorrow),
          )
          assert.equal(result.kind === 'written' && result.users[0]?.quotas.get('claude')?.used, 7)
          assert.equal(result.kind === 'written' && result.users[0]?.quotas.has('gpt4'), false)
        },
        { policy: { ...testPolicy, defaults: { period: 'daily' } } },
      ))

    it('replaces addresses in the given order', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { addresses: ['10.0.0.2', '10.0.0.1', '2001:db8::1'] })
        assert.deepEqual(ann.addresses, ['10.0.0.2', '10.0.0.1', '2001:db8::1'])
        const after = await store.users.writeUsers(
          [{ ref: { id: ann.id }, edit: { addresses: ['10.0.0.1'] } }],
          by(now + 5),
        )
        assert.deepEqual(after.kind === 'written' && after.users[0]?.addresses, ['10.0.0.1'])
      }))

    it('disables once, keeps the instant, changes the reason only when one is given', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store)
        assert.equal(await store.users.disableUser({ accessToken: 'nobody' }, 'x', by(now)), undefined)
        const first = await store.users.disableUser({ id: ann.id }, 'abuse', by(now + 1))
        assert.equal(first?.disabledAt, now + 1)
        const second = await store.users.disableUser({ accessToken: ann.accessToken }, undefined, by(now + 2))
        assert.deepEqual([second?.disabledAt, second?.disabledReason], [now + 1, 'abuse'])
        const third = await store.users.disableUser({ id: ann.id }, 'other', by(now + 3))
        assert.deepEqual([third?.disabledAt, third?.disabledReason], [now + 1, 'other'])
      }))

    it('finds what blocks many at once, and leaves out those who are not there', () =>
      withStore(createDatabase, async (store) => {
        const free = await create(store)
        const late = await create(store, { expiresAt: now + 1000 })
        const out = await create(store)
        await store.users.disableUser({ id: out.id }, 'left', by(now))
        const blocks = await store.users.findBlocks([free.id, late.id, out.id, 'usr_none'])
        assert.deepEqual(
          blocks.toSorted((a, b) => a.id.localeCompare(b.id)),
          [
            { id: free.id },
            { id: late.id, expiresAt: now + 1000 },
            { id: out.id, disabledAt: now, disabledReason: 'left' },
          ].toSorted((a, b) => a.id.localeCompare(b.id)),
        )
        assert.deepEqual(await store.users.findBlocks([]), [])
      }))

    it('answers a repeat with the first answer, and another request under the same key with a conflict', () =>
      withStore(createDatabase, async (store) => {
        const repeat = { key: 'adk_1:k', fingerprint: 'one' }
        const first = await store.users.insertUser(
          { nickname: 'Ann', quotaLimits: { claude: 3 } },
          by(now),
          repeat,
        )
        const again = await store.users.insertUser({ nickname: 'Ann' }, by(now + 1), repeat)
        assert.equal(first.kind, 'created')
        assert.deepEqual(again, { ...first, repeated: true })
        assert.equal(
          (await store.users.insertUser({}, by(now), { ...repeat, fingerprint: 'two' })).kind,
          'conflict',
        )
        assert.equal(await store.users.countUsers({}, now), 1)
        const later = await store.users.insertUser({}, by(now + 25 * 3_600_000), repeat)
        assert.equal(later.kind === 'created' && later.repeated, false)
        const atOnce = await Promise.all(
          Array.from({ length: 20 }, () =>
            store.users.insertUser({}, by(now), { key: 'adk_1:m', fingerprint: 'x' }),
          ),
        )
        assert.equal(new Set(atOnce.map((result) => result.kind === 'created' && result.user.id)).size, 1)
      }))

    it('pages in every order: each user once, those without the field last', () =>
      withStore(createDatabase, async (store) => {
        for (let index = 0; index < 57; index++) {
          await create(store, {
            ...(index % 3 > 0 && { nickname: `n${index % 7}` }),
            ...(index % 4 > 0 && { lastUsedAt: now - (index % 5) }),
            ...(index % 2 > 0 && { expiresAt: now + (index % 6) }),
            promptCount: index % 9,
            createdAt: now - (index % 8),
          })
        }
        const fields: readonly UserSortField[] = [
          'createdAt',
          'lastUsedAt',
          'expiresAt',
          'nickname',
          'promptCount',
        ]
        for (const field of fields) {
          for (const descending of [false, true]) {
            const sorted = await listAll(store, 10, { field, descending })
            assert.equal(new Set(sorted.map((user) => user.id)).size, 57, `${field} ${descending}`)
            const values = sorted.map((user) => user[field])
            const present = values.filter((value) => value !== undefined)
            assert.deepEqual(values.slice(0, present.length), present, 'unset ones last')
            const ordered = present.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
            assert.deepEqual(present, descending ? ordered.toReversed() : ordered)
          }
        }
      }))

    it('filters by text, type and state', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { nickname: 'Ännchen 100%_' })
        const bob = await create(store, { nickname: 'Bob', type: 'special', disabledAt: now })
        const eve = await create(store, { type: 'temporary', expiresAt: now })
        const later = await create(store, { disabledAt: now + 1, expiresAt: now + 1 })
        const idsOf = async (filter: UserFilter) =>
          (await listAll(store, 2, undefined, filter)).map((user) => user.id)
        assert.deepEqual(await idsOf({ text: 'äNNCHEN' }), [ann.id])
        assert.deepEqual(await idsOf({ text: '100%_' }), [ann.id])
        assert.deepEqual(await idsOf({ text: '100__' }), [])
        assert.deepEqual(await idsOf({ text: bob.id.toUpperCase() }), [bob.id])
        assert.deepEqual(
          await idsOf({ text: bob.accessToken.slice(-4) }).then((ids) => ids.includes(bob.id)),
          true,
        )
        assert.deepEqual(await idsOf({ text: bob.accessToken.slice(6, 20) }), [])
        assert.deepEqual(await idsOf({ type: 'special' }), [bob.id])
        assert.deepEqual(await idsOf({ state: 'disabled' }), [bob.id])
        assert.deepEqual(await idsOf({ state: 'expired' }), [eve.id])
        assert.deepEqual((await idsOf({ state: 'active' })).toSorted(), [ann.id, later.id].toSorted())
        assert.equal(await store.users.countUsers({ state: 'active', type: 'normal' }, now), 2)
      }))

    it('keeps counts that a 32-bit number cannot hold', () =>
      withStore(createDatabase, async (store) => {
        const used = Number.MAX_SAFE_INTEGER - 1
        const ann = await create(store, {
          quotaUsed: { claude: used },
          quotaLimits: { claude: used },
          promptCount: 2 ** 40,
        })
        const read = await store.users.findUser({ id: ann.id }, now)
        assert.deepEqual(read?.quotas.get('claude'), { ...unused, limit: used, used })
        assert.equal(read?.promptCount, 2 ** 40)
      }))

    it('has limits and times brought back into bounds that a version without bounds has stored', () =>
      withStore(createDatabase, async (store, database) => {
        const most = Number.MAX_SAFE_INTEGER
        const fine = { limits: { maxIps: 3, requestsPerMinute: -1 }, quotaLimits: { claude: 5, gpt4: -1 } }
        const ann = await create(store, { ...fine, expiresAt: now, lastUsedAt: 5 })
        const bob = await create(store, {
          limits: { maxIps: most, requestsPerMinute: most, concurrentRequests: 1e12 + 1 },
          quotaLimits: { claude: most, gpt4: 7 },
          promptCount: most,
          ...{ createdAt: most, lastUsedAt: most, disabledAt: most, expiresAt: most },
        })
        // That version's name of the column.
        await database.change('alter table quotas rename column period_bonus to extra')
        for (const step of bounds.statements.filter((text) => text.startsWith('update')))
          await database.change(step)
        await database.change('alter table quotas rename column extra to period_bonus')
        assert.deepEqual(await store.users.findUser({ id: ann.id }, now), ann)
        const healed = await store.users.findUser({ id: bob.id }, now)
        const end = 8.64e15
        assert.deepEqual(
          [healed?.createdAt, healed?.lastUsedAt, healed?.disabledAt, healed?.expiresAt],
          [end, end, end, end],
        )
        assert.deepEqual(healed?.limits, { maxIps: 1e12, requestsPerMinute: 1e12, concurrentRequests: 1e12 })
        assert.equal(healed?.quotas.get('claude')?.limit, 1e12)
        assert.equal(healed?.quotas.get('gpt4')?.limit, 7)
        assert.equal(healed?.promptCount, 1e12)
      }))
  })
}
