import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AdmissionOutcome } from '#core/admission-ask.ts'
import type { User } from '#core/user.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { book } from '../support/ledger.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const hourMs = 3_600_000
const until = now + hourMs

async function create(store: Store, edit = {}): Promise<User> {
  const made = await store.users.insertUser(edit, by(now))
  return made.kind === 'created' ? made.user : assert.fail()
}

async function rotate(store: Store, id: string, previousUntil?: number, at = now): Promise<User> {
  const result = await store.users.rotateToken({ id }, previousUntil, by(at))
  return result.kind === 'rotated' ? result.user : assert.fail(result.kind)
}

async function ask(store: Store, accessToken: string, at = now, isDry = true): Promise<AdmissionOutcome> {
  const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
  const one = { accessToken, requestId: createSortableId('req_', at), address: '192.0.2.1' }
  const asks = [{ ...one, route: '/v1/messages', isMetered: true, units, isDry }]
  return (await store.metering.runBatch({ now: at, settlements: [], asks })).asks[0] ?? assert.fail()
}

const codeOf = (outcome: AdmissionOutcome) => (outcome.kind === 'refused' ? outcome.code : outcome.kind)

for (const { name, create: createDatabase } of databases) {
  describe(`rotated access tokens on ${name}`, () => {
    it('keeps the user, and the old token works until its instant and no longer', () =>
      withStore(createDatabase, async (store, database) => {
        const before = await create(store, { nickname: 'Ann', quotaLimits: { claude: 500 }, tags: ['a'] })
        await book(store, { userId: before.id, at: now, usage: { output: 7 } })
        const after = await rotate(store, before.id, until)
        assert.match(after.accessToken, /^sk-tg-/)
        assert.notEqual(after.accessToken, before.accessToken)
        const stored = await store.users.findUser({ id: before.id }, now)
        assert.deepEqual(stored, after)
        assert.equal(after.quotas.get('claude')?.used, 7)
        assert.deepEqual([after.id, after.nickname, after.tags], [before.id, 'Ann', ['a']])
        assert.equal(after.revision, before.revision + 1)
        const old = await ask(store, before.accessToken, until - 1)
        assert.deepEqual([codeOf(old), old.user?.id, old.user?.tokenUntil], ['admitted', before.id, until])
        const present = await ask(store, after.accessToken, until - 1)
        assert.deepEqual([codeOf(present), present.user?.tokenUntil], ['admitted', undefined])
        assert.equal(codeOf(await ask(store, before.accessToken, until)), 'unknown_access_token')
        assert.equal(codeOf(await ask(store, after.accessToken, until)), 'admitted')
        for (const accessToken of [before.accessToken, after.accessToken]) {
          assert.equal(await store.users.knowsAccessToken(accessToken), true)
          assert.equal((await store.users.findUser({ accessToken }, until - 1))?.id, before.id)
        }
        assert.equal(await store.users.findUser({ accessToken: before.accessToken }, until), undefined)
        const { users } = await store.users.listUsers({
          limit: 5,
          now,
          filter: { text: after.accessToken.slice(-4) },
        })
        assert.equal(users.length, 1, 'a search finds the new hint')
        assert.ok(
          !JSON.stringify(await database.rows('select * from old_tokens')).includes(before.accessToken),
        )
      }))

    it('rotates a token that was the old one of another user, whether upkeep has removed it or not', () =>
      withStore(createDatabase, async (store) => {
        const first = await create(store)
        const { accessToken } = first
        await rotate(store, first.id, until)
        const write = { ref: { accessToken }, edit: {} }
        const later = until + 1
        const written = await store.users.writeUsers([write], by(later))
        assert.equal(written.kind, 'written')
        const again = await store.users.findUser({ accessToken }, later)
        assert.ok(again)
        assert.notEqual(again.id, first.id)
        await rotate(store, again.id, later + hourMs, later)
        const old = await ask(store, accessToken, later + 1)
        assert.deepEqual([codeOf(old), old.user?.id], ['admitted', again.id])
      }))

    it('stops the old token at once without a grace, and leaves at most one old token', () =>
      withStore(createDatabase, async (store) => {
        const first = await create(store)
        const second = await rotate(store, first.id, until)
        const third = await rotate(store, first.id, until + 1)
        const states = (...users: readonly User[]) =>
          store.users.findTokenStates(users.map(({ accessToken }) => accessToken))
        assert.deepEqual(await states(third, second, first), [
          { kind: 'present' },
          { kind: 'old', until: until + 1 },
          { kind: 'unknown' },
        ])
        assert.equal(codeOf(await ask(store, first.accessToken)), 'unknown_access_token')
        assert.equal(codeOf(await ask(store, second.accessToken)), 'admitted')
        const fourth = await rotate(store, first.id)
        assert.deepEqual(await states(fourth, third, second), [
          { kind: 'present' },
          { kind: 'unknown' },
          { kind: 'unknown' },
        ])
        assert.equal(codeOf(await ask(store, third.accessToken)), 'unknown_access_token')
        assert.equal(codeOf(await ask(store, fourth.accessToken)), 'admitted')
        assert.deepEqual(await states(), [])
      }))

    it('holds a block and a quota for both tokens, and settles what the old one opened', () =>
      withStore(createDatabase, async (store) => {
        const { id, accessToken } = await create(store, { quotaLimits: { claude: 1_000 } })
        const opened = await ask(store, accessToken, now, false)
        assert.equal(codeOf(opened), 'admitted')
        const after = await rotate(store, id, until)
        const both = [accessToken, after.accessToken]
        assert.equal(codeOf(await ask(store, accessToken, now, false)), 'admitted')
        assert.equal((await store.users.findUser({ id }, now))?.quotas.get('claude')?.openRequests, 2)
        await store.users.disableUser({ accessToken }, 'by the old token', by(now))
        for (const each of both) assert.equal(codeOf(await ask(store, each)), 'user_disabled')
        await store.users.writeUsers(
          [{ ref: { accessToken }, edit: { disabledAt: null, expiresAt: now + 5, nickname: 'edited' } }],
          by(now),
        )
        const listed = await store.users.listUsers({ limit: 5, now })
        assert.deepEqual(
          listed.users.map((user) => [user.id, user.nickname, user.accessToken]),
          [[id, 'edited', after.accessToken]],
          'an edit by the old token makes no second user',
        )
        for (const each of both) assert.equal(codeOf(await ask(store, each, now + 6)), 'user_expired')
        const again = await store.users.writeUsers([{ ref: { accessToken }, edit: {} }], by(until))
        assert.ok(again.kind === 'written' && again.users[0]?.id !== id, 'after its end it names no user')
      }))

    it('repeats the answer of a repeated request, and rotates no second time', () =>
      withStore(createDatabase, async (store) => {
        const { id } = await create(store)
        const key = { key: 'adk_1:again', fingerprint: 'f' }
        const once = await store.users.rotateToken({ id }, until, by(now), key)
        const twice = await store.users.rotateToken({ id }, until, by(now + 1), key)
        assert.ok(once.kind === 'rotated' && twice.kind === 'rotated')
        assert.deepEqual([once.repeated, twice.repeated], [false, true])
        assert.equal(twice.user.accessToken, once.user.accessToken)
        const other = await store.users.rotateToken({ id }, until, by(now), { ...key, fingerprint: 'g' })
        assert.equal(other.kind, 'conflict')
        assert.equal((await store.users.rotateToken({ id: 'usr_none' }, until, by(now))).kind, 'unknown')
      }))

    it('writes down who rotated and who saw a token, and no token', () =>
      withStore(createDatabase, async (store, database) => {
        const user = await create(store)
        const after = await rotate(store, user.id, until)
        const shown = await store.users.revealToken({ id: user.id }, by(now + 1))
        assert.ok(shown.kind === 'revealed' && shown.user.accessToken === after.accessToken)
        assert.equal((await store.users.revealToken({ id: 'usr_none' }, by(now))).kind, 'unknown')
        const rows = await database.rows('select * from changes order by seq')
        assert.deepEqual(
          rows.map((row) => row.kind),
          ['user.created', 'user.token_rotated', 'user.token_revealed'],
        )
        assert.ok(rows.every((row) => row.object === user.id))
        const text = JSON.stringify(rows)
        for (const { accessToken } of [user, after]) {
          assert.ok(!text.includes(accessToken) && !text.includes(accessToken.slice(6, 20)))
          assert.ok(text.includes(accessToken.slice(-4)), 'the hint is there')
        }
      }))

    it('removes what has ended, and what was old of a removed user', () =>
      withStore(createDatabase, async (store, database) => {
        const users = await Promise.all([1, 2, 3].map(() => create(store)))
        for (const [index, { id }] of users.entries()) await rotate(store, id, now + index + 1)
        const left = async () => (await database.rows('select user_id from old_tokens')).length
        assert.equal(await store.upkeep.purgeTokens(now + 2, 1), 1)
        assert.equal(await store.upkeep.purgeTokens(now + 2, 1), 1)
        assert.equal(await store.upkeep.purgeTokens(now + 2, 1), 0)
        assert.equal(await left(), 1)
        await store.users.writeUsers(
          [{ ref: { id: users[2]?.id ?? '' }, edit: { type: 'temporary', expiresAt: now + 1 } }],
          by(now),
        )
        for (let count = 1; count > 0; ) count = await store.upkeep.purgeUsers(now + hourMs, 10, by(now))
        assert.equal(await left(), 0)
      }))

    it('is known to an instance that has met the token before', async () => {
      const database = await createDatabase()
      const first = await openStore(database.settings())
      try {
        const user = await create(first)
        for (let round = 0; round < 3; round += 1)
          assert.equal(codeOf(await ask(first, user.accessToken)), 'admitted')
        const after = await rotate(first, user.id, until)
        for (let round = 0; round < 3; round += 1)
          for (const { accessToken } of [user, after])
            assert.equal(codeOf(await ask(first, accessToken)), 'admitted')
        const last = await rotate(first, user.id)
        for (const { accessToken } of [user, after])
          assert.equal(codeOf(await ask(first, accessToken)), 'unknown_access_token')
        assert.equal(codeOf(await ask(first, last.accessToken)), 'admitted')
      } finally {
        await first.close()
        await database.remove()
      }
    })
  })
}
