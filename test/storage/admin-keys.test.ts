import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Scope } from '#core/scopes.ts'
import { configuredKeyOf, withConfiguredKey } from '#server/configured-key.ts'
import { openKeyUse } from '#server/key-use.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import type { AdminKeyStore } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const secret = 'a-secret-admin-key'

for (const { name, create: createDatabase } of databases) {
  describe(`admin keys in ${name}`, () => {
    it('are known by their secret only, until they expire', () =>
      withStore(createDatabase, async ({ adminKeys, users }) => {
        assert.equal(await adminKeys.countAdminKeys(), 0)
        const expiresAt = now + 1000
        const key = await adminKeys.insertAdminKey(
          { name: 'first', secret, scopes: ['admin'], expiresAt },
          by(now),
        )
        assert.deepEqual(key, { id: key.id, name: 'first', scopes: ['admin'], createdAt: now, expiresAt })
        assert.match(key.id, /^adk_[0-9a-z]{24}$/)
        assert.deepEqual(await adminKeys.findAdminKey(secret, expiresAt - 1), key)
        assert.equal(await adminKeys.findAdminKey(secret, expiresAt), undefined)
        for (const guess of ['a-secret-admin-kez', `admin ${secret}`, key.id, key.name, ''])
          assert.equal(await adminKeys.findAdminKey(guess, now), undefined, guess)
        assert.equal(await users.knowsAccessToken(secret), false)
      }))

    it('are listed oldest first with what they open, never with their secrets', () =>
      withStore(createDatabase, async ({ adminKeys }, database) => {
        const wanted: readonly (readonly [string, readonly Scope[], number])[] = [
          ['second', ['verifier'], now + 1],
          ['first', ['admin'], now],
          ['third', ['admin', 'verifier'], now + 2],
        ]
        const secrets: string[] = []
        for (const [name, scopes, at] of wanted)
          secrets.push((await createAdminKey(adminKeys, { name, scopes }, by(at))).secret)
        const keys = await adminKeys.listAdminKeys()
        assert.deepEqual(
          keys.map(({ name, scopes }) => [name, scopes]),
          [
            ['first', ['admin']],
            ['second', ['verifier']],
            ['third', ['admin', 'verifier']],
          ],
        )
        for (const [index, prefix] of ['tgv-', 'tga-', 'tga-'].entries())
          assert.match(secrets[index] ?? '', new RegExp(`^${prefix}[0-9A-Za-z]{40}$`))
        const stored = JSON.stringify([keys, await database.rows('select * from admin_keys')])
        for (const each of secrets) assert.ok(!stored.includes(each.slice(4, 20)))
      }))

    it('can be deleted, and then open nothing; but somebody has to be left to administer', () =>
      withStore(createDatabase, async ({ adminKeys }) => {
        const insert = (name: string, scopes: readonly Scope[], more: { readonly expiresAt?: number } = {}) =>
          adminKeys.insertAdminKey({ name, secret: `secret of ${name}`, scopes, ...more }, by(now))
        const first = await insert('first', ['admin'])
        const verifier = await insert('verifier', ['verifier'])
        const ending = await insert('ending', ['admin'], { expiresAt: now + 10 })
        assert.equal(await adminKeys.deleteAdminKey('adk_nobody', by(now)), 'unknown')
        assert.equal(await adminKeys.deleteAdminKey(first.id, by(now + 10)), 'last', 'the other has expired')
        assert.equal(await adminKeys.deleteAdminKey(ending.id, by(now + 10)), 'deleted')
        assert.equal(await adminKeys.deleteAdminKey(ending.id, by(now + 10)), 'unknown')
        assert.equal(await adminKeys.deleteAdminKey(verifier.id, by(now)), 'deleted')
        assert.equal(await adminKeys.findAdminKey('secret of verifier', now), undefined)
        assert.equal(await adminKeys.deleteAdminKey(first.id, by(now)), 'last')
        assert.deepEqual(await adminKeys.listAdminKeys(), [first])
        assert.equal(await adminKeys.deleteAdminKey(first.id, by(now), { mayBeLast: true }), 'deleted')
        assert.equal(await adminKeys.countAdminKeys(), 0)
      }))

    it('get another secret, and the one before works until its time', () =>
      withStore(createDatabase, async ({ adminKeys }, database) => {
        const key = await adminKeys.insertAdminKey(
          { name: 'turning', secret, scopes: ['users:read'], allowedNetworks: ['10.0.0.0/8'] },
          by(now),
        )
        assert.equal(await adminKeys.rotateAdminKey('adk_nobody', { secret: 'x' }, by(now)), 'unknown')
        const until = now + 1000
        const rotated = await adminKeys.rotateAdminKey(
          key.id,
          { secret: 'second', previousUntil: until },
          by(now + 1),
        )
        assert.deepEqual(rotated, { ...key, rotatedAt: now + 1, previousUntil: until })
        assert.deepEqual(await adminKeys.findAdminKey('second', now), rotated)
        assert.deepEqual(await adminKeys.findAdminKey(secret, until - 1), rotated)
        assert.equal(await adminKeys.findAdminKey(secret, until), undefined)
        assert.deepEqual(await adminKeys.rotateAdminKey(key.id, { secret: 'third' }, by(now + 2)), {
          ...key,
          rotatedAt: now + 2,
        })
        for (const old of [secret, 'second'])
          assert.equal(await adminKeys.findAdminKey(old, now + 2), undefined, old)
        assert.ok(await adminKeys.findAdminKey('third', now + 2))
        // A time that is past leaves nothing to work on.
        await adminKeys.rotateAdminKey(key.id, { secret: 'fourth', previousUntil: now }, by(now + 3))
        assert.equal(await adminKeys.findAdminKey('third', now), undefined)
        const stored = JSON.stringify(await database.rows('select * from admin_keys'))
        assert.doesNotMatch(stored, /\b(?:second|third|fourth)\b|a-secret/)
      }))

    it('of two rotations at once one secret is left', () =>
      withStore(createDatabase, async ({ adminKeys }) => {
        const { id } = await adminKeys.insertAdminKey({ name: 'a', secret, scopes: ['admin'] }, by(now))
        const made = ['one', 'two', 'three', 'four']
        await Promise.all(made.map((each) => adminKeys.rotateAdminKey(id, { secret: each }, by(now))))
        const found = await Promise.all([secret, ...made].map((each) => adminKeys.findAdminKey(each, now)))
        assert.equal(found.filter((key) => key !== undefined).length, 1)
      }))

    it('say when they were last used, never an earlier time than before', () =>
      withStore(createDatabase, async ({ adminKeys }) => {
        const insert = (name: string, at: number) =>
          adminKeys.insertAdminKey({ name, secret: `secret ${name}`, scopes: ['admin'] }, by(at))
        const [one, two] = [await insert('one', now), await insert('two', now + 1)]
        const times = async () => (await adminKeys.listAdminKeys()).map(({ lastUsedAt }) => lastUsedAt)
        await adminKeys.noteAdminKeyUse([
          { id: two.id, at: now + 5 },
          { id: one.id, at: now + 3 },
          { id: 'adk_gone', at: now },
        ])
        assert.deepEqual(await times(), [now + 3, now + 5])
        await adminKeys.noteAdminKeyUse([
          { id: one.id, at: now + 2 },
          { id: two.id, at: now + 6 },
        ])
        assert.deepEqual(await times(), [now + 3, now + 6])
        await adminKeys.noteAdminKeyUse([])
      }))

    it('note their use in memory, and write it a batch at a time and at the end', () =>
      withStore(createDatabase, async (store) => {
        const clock = { now }
        const key = await store.adminKeys.insertAdminKey({ name: 'a', secret, scopes: ['admin'] }, by(now))
        let writes = 0
        const counted: AdminKeyStore = {
          ...store.adminKeys,
          noteAdminKeyUse(uses) {
            writes++
            // The first write fails: what was noted is written with the next.
            return writes === 1 ? Promise.reject(new Error('away')) : store.adminKeys.noteAdminKeyUse(uses)
          },
        }
        const failures: unknown[] = []
        const use = openKeyUse(
          counted,
          () => clock.now,
          (error) => failures.push(error),
          20,
        )
        for (let round = 0; round < 1000; round++) {
          clock.now = now + round
          use.used(key.id)
        }
        assert.equal((await use.keys.listAdminKeys())[0]?.lastUsedAt, now + 999, 'a list shows it at once')
        assert.equal((await store.adminKeys.listAdminKeys())[0]?.lastUsedAt, undefined)
        await waitUntil(
          async () => (await store.adminKeys.listAdminKeys())[0]?.lastUsedAt === now + 999,
          'written',
        )
        assert.deepEqual([writes, failures.length], [2, 1])
        clock.now = now + 5000
        use.used(key.id)
        await use.close()
        assert.equal((await store.adminKeys.listAdminKeys())[0]?.lastUsedAt, now + 5000)
        assert.equal(writes, 3)
      }))

    it('of two that are deleted at once one stays', () =>
      withStore(createDatabase, async ({ adminKeys }) => {
        const names = ['a', 'b', 'c']
        const insert = (name: string) =>
          adminKeys.insertAdminKey({ name, secret: name.repeat(16), scopes: ['admin'] }, by(now))
        const keys = await Promise.all(names.map(insert))
        const outcomes = await Promise.all(keys.map(({ id }) => adminKeys.deleteAdminKey(id, by(now))))
        assert.deepEqual(outcomes.toSorted(), ['deleted', 'deleted', 'last'])
        assert.equal(await adminKeys.countAdminKeys(), 1)
      }))

    it('open nothing where what they are for cannot be read', () =>
      withStore(createDatabase, async ({ adminKeys }, database) => {
        for (const scopes of ['admin root', '', 'Admin', 'admin  verifier']) {
          await adminKeys.insertAdminKey(
            { name: scopes, secret: `${secret}${scopes}`, scopes: ['admin'] },
            by(now),
          )
          await database.change(`update admin_keys set scopes = '${scopes}' where name = '${scopes}'`)
          const found = await adminKeys.findAdminKey(`${secret}${scopes}`, now)
          assert.deepEqual([found?.isDamaged, found?.scopes], [true, []])
        }
      }))

    it('has the configured one beside them, which only the configuration takes away', () =>
      withStore(createDatabase, async ({ adminKeys }) => {
        assert.equal(withConfiguredKey(adminKeys, configuredKeyOf(undefined, now)), adminKeys)
        const stored = await adminKeys.insertAdminKey({ name: 'stored', secret, scopes: ['admin'] }, by(now))
        const keys = withConfiguredKey(adminKeys, configuredKeyOf('the-configured-key', now + 5))
        const configured = await keys.findAdminKey('the-configured-key', now)
        assert.deepEqual(configured, {
          id: 'adk_environment',
          name: 'environment',
          scopes: ['admin'],
          createdAt: now + 5,
          isGuessable: true,
        })
        assert.deepEqual(await keys.findAdminKey(secret, now), stored)
        assert.equal(await keys.findAdminKey('the-configured-kez', now), undefined)
        assert.deepEqual(await keys.listAdminKeys(), [configured, stored])
        assert.equal(await keys.deleteAdminKey('adk_environment', by(now)), 'configured')
        assert.equal(await keys.deleteAdminKey(stored.id, by(now)), 'deleted', 'there is another way in')
        assert.equal(await adminKeys.countAdminKeys(), 0)
      }))
  })
}
