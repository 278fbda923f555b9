import assert from 'node:assert/strict'
import { it } from 'node:test'
import { shownPartOf } from '#core/access-token.ts'
import { openStore } from '#storage/open.ts'
import { by } from '../support/by.ts'
import { newUserId, open } from '../support/ledger.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')

/** Each column that migration 9 renamed, with the name that it had until then. */
const renamed = [
  ['users', 'lookup', 'token_hmac'],
  ['users', 'sealed', 'token_encrypted'],
  ['users', 'shown', 'token_hint'],
  ['users', 'arrival_at', 'rate_tat'],
  ['quotas', 'extra', 'period_bonus'],
  ['admin_keys', 'lookup', 'key_hmac'],
  ['answers', 'sealed', 'answer_encrypted'],
] as const

for (const { name, create } of databases)
  it(`what stood in columns of other names is found, on ${name}`, () =>
    withStore(create, async (store, database) => {
      const edit = { quotaLimits: { claude: 100 }, limits: { requestsPerMinute: 1 } }
      const id = await newUserId(store, now, edit)
      const key = { key: 'once', fingerprint: 'the same request' }
      const made = await store.users.insertUser({ nickname: 'Ann' }, by(now), key)
      await store.users.addToQuota({ id }, { family: 'claude', units: 7 }, by(now))
      await open(store, { userId: id, at: now })
      await store.adminKeys.insertAdminKey({ name: 'first', secret: 'a secret', scopes: ['admin'] }, by(now))
      const user = await store.users.findUser({ id }, now)
      assert.ok(user?.quotas.get('claude')?.extra === 7 && made.kind === 'created')
      await store.close()
      for (const [table, before, after] of renamed)
        await database.change(`alter table ${table} rename column ${after} to ${before}`)
      await database.change('delete from migrations where number = 9')
      const next = await openStore(database.settings())
      try {
        const { accessToken } = user
        assert.deepEqual(await next.users.findUser({ accessToken }, now), user)
        const rows = await database.rows(`select token_hint from users where id = '${id}'`)
        assert.equal(rows[0]?.token_hint, shownPartOf(accessToken))
        await assert.rejects(open(next, { userId: id, at: now }), /refused/, 'the minute has no request left')
        assert.equal((await next.adminKeys.findAdminKey('a secret', now))?.name, 'first')
        const again = await next.users.insertUser({ nickname: 'Ann' }, by(now), key)
        assert.deepEqual(again.kind === 'created' && again.user, made.user, 'the kept answer')
      } finally {
        await next.close()
      }
    }))
