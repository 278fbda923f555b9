import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noUsage } from '#core/usage.ts'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { IdempotencyKey, UsageReset } from '#storage/store/users.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000

async function create(store: Store, edit: UserEdit = {}, at = now): Promise<User> {
  const result = await store.users.insertUser(edit, by(at))
  return result.kind === 'created' ? result.user : assert.fail(result.kind)
}

async function edit(store: Store, id: string, change: UserEdit, at = now): Promise<User> {
  const result = await store.users.writeUsers([{ ref: { id }, edit: change }], by(at))
  assert.equal(result.kind, 'written', JSON.stringify(result))
  return (result.kind === 'written' && result.users[0]) || assert.fail()
}

async function quotaOf(store: Store, id: string, family: string, at = now) {
  return (await store.users.findUser({ id }, at))?.quotas.get(family)
}

let lastRequest = 0

/** Admits a request of the family `claude`, and settles it unless it is to stay open. */
async function use(
  store: Store,
  user: User,
  units: number,
  { at = now, isOpen = false, address = '192.0.2.1' } = {},
): Promise<string> {
  const requestId = `req_${++lastRequest}`
  const asked = { model: 'claude-x', family: 'claude', input: units, output: 0, choices: 1 }
  const ask = { requestId, accessToken: user.accessToken, address, route: '/', isMetered: true, units: asked }
  const { asks } = await store.metering.runBatch({ now: at, settlements: [], asks: [ask] })
  assert.equal(asks[0]?.kind, 'admitted')
  if (!isOpen) await settle(store, requestId, units, at)
  return requestId
}

async function settle(store: Store, requestId: string, units: number, at = now): Promise<void> {
  const usage = { ...noUsage, input: units }
  const ending = { ending: 'settled', isEstimated: false, status: 200, durationMs: 1 } as const
  await store.metering.runBatch({ now: at, settlements: [{ requestId, usage, ...ending }], asks: [] })
}

async function resetAll(store: Store, request: UsageReset, at = now): Promise<number[]> {
  const users: number[] = []
  let next = request.after
  do {
    const asked = { ...request, ...(next !== undefined && { after: next }) }
    const done = await store.users.resetUsage(asked, by(at))
    users.push(done.users)
    next = done.next
  } while (next !== undefined)
  return users
}

const daily = { policy: { ...testPolicy, defaults: { period: 'daily' as const } } }

for (const { name, create: createDatabase } of databases) {
  describe(`looking after quotas on ${name}`, () => {
    it('takes out what was used by an adjustment, and leaves what runs and what was added', () =>
      withStore(createDatabase, async (store, database) => {
        const ann = await create(store, { quotaLimits: { claude: 1000 }, quotaExtra: { claude: 50 } })
        await use(store, ann, 300)
        const running = await use(store, ann, 200, { isOpen: true })
        const after = await edit(store, ann.id, { quotaReset: 'all' })
        const open = { limit: 1000, extra: 50, reserved: 200, openRequests: 1 }
        assert.deepEqual(after.quotas.get('claude'), { ...open, used: 0 })
        assert.equal(after.revision, ann.revision)
        assert.deepEqual(
          (await database.rows("select kind, units, route from entries where kind = 'adjustment'")).map(
            (row) => ({ ...row }),
          ),
          [{ kind: 'adjustment', units: -300, route: '/admin/users/{token}/quota/reset' }],
        )
        await assertInvariants(database)
        await settle(store, running, 120)
        assert.equal((await quotaOf(store, ann.id, 'claude'))?.used, 120)
        await assertInvariants(database)
      }))

    it('resets what is named and nothing else, and nothing where nothing was used', () =>
      withStore(createDatabase, async (store, database) => {
        const ann = await create(store, { quotaUsed: { claude: 5, gpt4: 6 } })
        const after = await edit(store, ann.id, { quotaReset: ['gpt4', 'turbo'] })
        assert.deepEqual([after.quotas.get('claude')?.used, after.quotas.get('gpt4')?.used], [5, 0])
        assert.equal(after.quotas.has('turbo'), false)
        await edit(store, ann.id, { quotaReset: ['gpt4'] })
        assert.equal((await database.rows('select id from entries')).length, 3)
        await assertInvariants(database)
      }))

    it('resets everybody in pieces, each once, and passes over who stands at zero', () =>
      withStore(createDatabase, async (store, database) => {
        const writes = Array.from({ length: 50 }, (_, index) => ({
          ref: { accessToken: `user-${index}` },
          edit: { quotaUsed: index % 5 === 0 ? {} : { claude: index, gpt4: 1 } },
        }))
        await store.users.writeUsers(writes, by(now))
        assert.deepEqual(await resetAll(store, { families: ['gpt4'], limit: 16 }), [16, 16, 8])
        assert.deepEqual(await resetAll(store, { families: ['gpt4'], limit: 16 }), [0])
        await assertInvariants(database)
        const first = await store.users.resetUsage({ families: 'all', limit: 30 }, by(now))
        assert.equal(first.users, 30)
        assert.ok(first.next)
        // Whose answer was lost asks again from where it stood before.
        assert.deepEqual(await resetAll(store, { families: 'all', limit: 30 }), [10])
        // Who uses again what was just counted from zero is not counted from zero again by going on.
        await edit(store, first.next ?? '', { quotaUsed: { claude: 3 } })
        assert.deepEqual(await resetAll(store, { families: 'all', limit: 30, after: first.next ?? '' }), [0])
        await edit(store, first.next ?? '', { quotaUsed: { claude: 0 } })
        const used = await database.rows('select sum(used) as used, sum(units) as units from quotas, entries')
        assert.deepEqual([used[0]?.used, used[0]?.units], [0, 0])
        await assertInvariants(database)
        const { users } = await store.users.listUsers({ limit: 50, now })
        assert.ok(users.every(({ id, revision }) => revision === 1 || id === first.next))
      }))

    it('counts no user as reset whose period was over anyway', () =>
      withStore(
        createDatabase,
        async (store, database) => {
          const ann = await create(store, { quotaUsed: { claude: 5 } })
          const bob = await create(store, { quotaUsed: { claude: 5 } }, now + dayMs)
          assert.deepEqual(await resetAll(store, { families: 'all', limit: 10 }, now + dayMs), [1])
          for (const { id } of [ann, bob])
            assert.equal((await quotaOf(store, id, 'claude', now + dayMs))?.used, 0)
          const entries = await database.rows('select user_id from entries where units < 0')
          assert.deepEqual(
            entries.map((entry) => entry.user_id),
            [bob.id],
          )
          await assertInvariants(database)
        },
        daily,
      ))

    it('adds for the period that runs, and it ends with it', () =>
      withStore(
        createDatabase,
        async (store, database) => {
          const ann = await create(store, { quotaLimits: { claude: 100 } })
          await use(store, ann, 100)
          const added = await store.users.addToQuota({ id: ann.id }, { family: 'claude', units: 60 }, by(now))
          assert.equal(added.kind === 'added' && added.user.quotas.get('claude')?.extra, 60)
          await use(store, ann, 50)
          assert.deepEqual((await quotaOf(store, ann.id, 'claude'))?.used, 150)
          const tomorrow = now + dayMs
          assert.equal((await quotaOf(store, ann.id, 'claude', tomorrow))?.extra, 0)
          await use(store, ann, 10, { at: tomorrow })
          const rows = await database.rows('select period_bonus, used from quotas')
          assert.deepEqual({ ...rows[0] }, { period_bonus: 0, used: 10 })
          await assertInvariants(database)
        },
        daily,
      ))

    it('an addition in a new period begins with it, and leaves out what the old one used', () =>
      withStore(
        createDatabase,
        async (store, database) => {
          const ann = await create(store, {
            quotaLimits: { claude: 100 },
            quotaUsed: { claude: 70 },
            quotaExtra: { claude: 5 },
          })
          const tomorrow = now + dayMs
          await store.users.addToQuota({ id: ann.id }, { family: 'claude', units: 2 }, by(tomorrow))
          const { used, extra } = (await quotaOf(store, ann.id, 'claude', tomorrow)) ?? assert.fail()
          assert.deepEqual([used, extra], [0, 2])
          await assertInvariants(database)
        },
        daily,
      ))

    it('what was added yesterday does not come back with a count that is set today', () =>
      withStore(
        createDatabase,
        async (store, database) => {
          const start = { quotaLimits: { claude: 100 }, quotaUsed: { claude: 7 }, quotaExtra: { claude: 5 } }
          const ann = await create(store, start)
          const after = await edit(store, ann.id, { quotaUsed: { claude: 3 } }, now + dayMs)
          const { used, extra } = after.quotas.get('claude') ?? assert.fail()
          assert.deepEqual([used, extra], [3, 0])
          await assertInvariants(database)
        },
        daily,
      ))

    it('takes back no more than was added, and adds nothing to what has no limit', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { quotaLimits: { claude: 100, gpt4: -1 }, quotaExtra: { claude: 5 } })
        const ref = { id: ann.id }
        const add = (family: string, units: number) => store.users.addToQuota(ref, { family, units }, by(now))
        assert.equal((await add('claude', -6)).kind, 'invalid')
        assert.equal((await add('claude', Number.MAX_SAFE_INTEGER)).kind, 'invalid')
        assert.deepEqual(await add('gpt4', 1), { kind: 'unlimited', type: 'normal' })
        assert.deepEqual(await add('turbo', 1), { kind: 'unlimited', type: 'normal' })
        assert.equal((await add('claude', -5)).kind, 'added')
        assert.equal((await quotaOf(store, ann.id, 'claude'))?.extra, 0)
        const nobody = { id: 'usr_000000000000000000000000' }
        assert.deepEqual(await store.users.addToQuota(nobody, { family: 'claude', units: 1 }, by(now)), {
          kind: 'unknown',
        })
        const bulk = await store.users.writeUsers(
          [
            { ref, edit: { nickname: 'changed' } },
            { ref, edit: { quotaExtra: { gpt4: 1 } } },
          ],
          by(now),
        )
        assert.deepEqual([bulk.kind, bulk.kind === 'invalid' && bulk.index], ['invalid', 1])
        assert.equal((await store.users.findUser(ref, now))?.nickname, undefined)
      }))

    it('adds once under one key, also when many ask at once', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store, { quotaLimits: { claude: 100 } })
        const idempotencyKey: IdempotencyKey = { key: 'adk_1:key', fingerprint: 'a' }
        const addition = { family: 'claude', units: 7 }
        const answers = await Promise.all(
          Array.from({ length: 20 }, () =>
            store.users.addToQuota({ id: ann.id }, addition, by(now), idempotencyKey),
          ),
        )
        assert.equal(answers.filter((answer) => answer.kind === 'added' && !answer.repeated).length, 1)
        assert.equal(answers.filter((answer) => answer.kind === 'added' && answer.repeated).length, 19)
        assert.equal((await quotaOf(store, ann.id, 'claude'))?.extra, 7)
        const other = { ...idempotencyKey, fingerprint: 'b' }
        assert.equal(
          (await store.users.addToQuota({ id: ann.id }, addition, by(now), other)).kind,
          'conflict',
        )
      }))

    it('a changed period keeps what was added, and never counts below zero', () =>
      withStore(createDatabase, async (store, database) => {
        const ann = await create(store, {
          quotaLimits: { claude: 1000 },
          limits: { period: 'monthly' },
          quotaExtra: { claude: 9 },
        })
        const yesterday = now - dayMs
        await use(store, ann, 300, { at: yesterday })
        await use(store, ann, 40)
        await edit(store, ann.id, { quotaReset: 'all' })
        await assertInvariants(database)
        const day = await edit(store, ann.id, { limits: { period: 'daily' } })
        const { used, extra } = day.quotas.get('claude') ?? assert.fail()
        assert.deepEqual([used, extra], [0, 9])
        await assertInvariants(database)
        const tomorrow = await edit(store, ann.id, { limits: { period: 'weekly' } }, now + dayMs)
        assert.equal(tomorrow.quotas.get('claude')?.extra, 0, 'it had ended with the day')
        await assertInvariants(database)
      }))

    it('books what is reset by a clock that was set back into the period that the quota is in', () =>
      withStore(
        createDatabase,
        async (store, database) => {
          const ann = await create(store, { quotaUsed: { claude: 5 } }, now + dayMs)
          const after = await edit(store, ann.id, { quotaReset: 'all' })
          assert.equal(after.quotas.get('claude')?.used, 0)
          await assertInvariants(database)
        },
        daily,
      ))

    it('writes an address down again that comes at the instant it is removed', () =>
      withStore(createDatabase, async (store) => {
        const ann = await create(store)
        await use(store, ann, 1)
        // One is let in before the list is written and one after; the three stand behind each other.
        const before = use(store, ann, 1)
        const written = edit(store, ann.id, { addresses: [] })
        await Promise.all([before, written])
        await use(store, ann, 1)
        assert.deepEqual((await store.users.findUser({ id: ann.id }, now))?.addresses, ['192.0.2.1'])
      }))
  })
}
