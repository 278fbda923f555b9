import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserEdit } from '#core/user-edit.ts'
import { type AdminServer, openAdminServer, startAt } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { databases, type TestDatabase } from './support/stores.ts'

const sumMax = Number.MAX_SAFE_INTEGER

/** Everything at once, and as far as it can come by use. */
const grown: UserEdit = {
  nickname: '😀'.repeat(80),
  promptCount: sumMax,
  quotaUsed: { turbo: sumMax, claude: 1e12 + 1, gpt4: 7 },
  quotaLimits: { turbo: 1e12, claude: -1, gpt4: 0 },
  addresses: Array.from({ length: 256 }, (_, index) => `2001:db8::${(index + 1).toString(16)}`),
  createdAt: 0,
  lastUsedAt: 8.64e15,
  disabledAt: 1,
  disabledReason: 'a\nb'.repeat(300),
  expiresAt: 1e11,
  limits: {
    requestsPerMinute: 1e12,
    concurrentRequests: 0,
    maxIps: -1,
    ipWindowDays: 36_500,
    ipLimitAction: 'disable',
    allowedNetworks: ['10.0.0.0/8', '2001:db8::/32'],
    allowedModels: ['x'.repeat(256), '*'],
    period: 'monthly',
  },
  adminNote: '\t\r\n'.repeat(3000),
  tags: Array.from({ length: 20 }, (_, index) => `${'ü'.repeat(48)}${index + 10}`),
  meta: { deep: [{ a: null }], text: 'x'.repeat(16_000) },
}

for (const kind of databases) {
  describe(`what an answer shows of a user on ${kind.name}`, () => {
    const withServer = async (use: (server: AdminServer, database: TestDatabase) => Promise<void>) => {
      let database: TestDatabase | undefined
      const server = await openAdminServer({
        name: kind.name,
        create: async () => {
          database = await kind.create()
          return database
        },
      })
      try {
        assert.ok(database)
        await use(server, database)
      } finally {
        await server.close()
      }
    }
    const ask = async (server: AdminServer, method: string, path: string, body?: unknown, headers = {}) => {
      const { status, text } = await server.send({ method, path, body, headers })
      return { status, body: JSON.parse(text) }
    }

    it('can be put back, alone and in a list, and changes nothing', () =>
      withServer(async (server) => {
        for (const edit of [grown, { ...grown, type: 'temporary' as const }, {}]) {
          const created = await server.store.users.insertUser(edit, by(startAt))
          assert.ok(created.kind === 'created')
          const path = `/admin/users/${created.user.id}`
          const { body: shown } = await ask(server, 'GET', path)
          const put = await ask(server, 'PUT', path, shown)
          assert.deepEqual([put.status, put.body], [200, shown])
          const many = await ask(server, 'PUT', '/admin/users', { users: [shown] })
          assert.equal(many.status, 200, JSON.stringify(many.body))
          assert.deepEqual((await ask(server, 'GET', path)).body, shown)
        }
      }))

    it('may be put back as it was a moment before, and raised no further', () =>
      withServer(async (server) => {
        const created = await server.store.users.insertUser(
          { quotaUsed: { turbo: 2e12 }, promptCount: 2e12 },
          by(startAt),
        )
        assert.ok(created.kind === 'created')
        const path = `/admin/users/${created.user.id}`
        const lower = await ask(server, 'PUT', path, { tokenCounts: { turbo: 1.5e12 }, promptCount: 1.5e12 })
        assert.deepEqual([lower.body.tokenCounts.turbo, lower.body.promptCount], [1.5e12, 1.5e12])
        for (const [body, field] of [
          [{ tokenCounts: { turbo: 1.5e12 + 1 } }, 'tokenCounts.turbo'],
          [{ tokenCounts: { gpt4: 1e12 + 1 } }, 'tokenCounts.gpt4'],
          [{ promptCount: 1.5e12 + 1 }, 'promptCount'],
        ] as const) {
          const refused = await ask(server, 'PUT', path, body)
          assert.equal(refused.status, 400)
          assert.equal(refused.body.issues[0].path, field)
        }
        assert.deepEqual((await ask(server, 'GET', path)).body, lower.body)
      }))

    it('is no condition for disabling: a user whose row is damaged is disabled at once', () =>
      withServer(async (server, database) => {
        const damages = [
          "allowed_models = '[broken'",
          "period = 'fortnightly'",
          "type = 'odd'",
          "meta = '7'",
          "token_encrypted = 'x'",
        ]
        for (const damage of damages) {
          const created = await server.store.users.insertUser({}, by(startAt))
          assert.ok(created.kind === 'created')
          const { id, accessToken } = created.user
          await database.change(`update users set ${damage} where id = '${id}'`)
          assert.equal((await ask(server, 'GET', `/admin/users/${id}`)).status, 409, damage)
          // What has to read the row says what is left to do, and changes nothing.
          for (const [method, headers, sent] of [
            ['PUT', {}, { disabledReason: 'left' }],
            ['PUT', {}, { disabledAt: startAt, token: accessToken }],
            ['PUT', { 'if-match': '*' }, { nickname: 'Zoe' }],
            ['DELETE', { 'if-match': '*' }, undefined],
            ['DELETE', { 'if-match': '"1"' }, undefined],
          ] as const) {
            const refusal = await ask(server, method, `/admin/users/${id}`, sent, headers)
            assert.deepEqual([refusal.status, refusal.body.code], [409, 'conflict'], `${method} ${damage}`)
            assert.match(refusal.body.error, /DELETE without If-Match/)
            assert.deepEqual(await server.store.users.findBlocks([id]), [{ id }])
          }
          server.clock.now += 1000
          const named = damage.startsWith('period') ? accessToken : id
          const path = `/admin/users/${named}?disabledReason=left`
          const { status, body } = await ask(server, 'DELETE', path)
          const said = { id, disabledAt: server.clock.now, disabledReason: 'left' }
          const isSealed = damage.startsWith('token_encrypted')
          assert.equal(status, 200, damage)
          assert.partialDeepStrictEqual(body, isSealed ? said : { ...said, token: accessToken }, damage)
          assert.equal('token' in body, !isSealed, damage)
          assert.equal(body.type, damage.startsWith('type') ? undefined : 'normal', damage)
          server.clock.now += 1000
          const again = await ask(server, 'DELETE', `/admin/users/${id}`)
          assert.deepEqual([again.status, again.body], [200, body], 'the first instant stays')
          const [block] = await server.store.users.findBlocks([id])
          assert.deepEqual(block, said)
        }
        assert.match(server.log(), /a user whose row cannot be read was disabled/)
        assert.equal((await ask(server, 'DELETE', '/admin/users/usr_000000000000000000000000')).status, 404)
      }))
  })
}
