import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { createAdminRoutes } from '#admin/routes.ts'
import { builtInFamilies } from '#core/family.ts'
import { allows, permissions, type Scope, scopes } from '#core/scopes.ts'
import { configuredKeyOf, withConfiguredKey, withConfiguredSessions } from '#server/configured-key.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import {
  type AdminServer,
  adminSecret,
  openAdminServer,
  type Received,
  type SentRequest,
  withAdminServer,
} from './support/admin-server.ts'
import { by } from './support/by.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/** Browsers that are logged in: what their cookie opens, from which pages, and for how long. */
const routes = createAdminRoutes({ families: builtInFamilies, limits: {} })
const configuredSecret = 'a-configured-admin-key'
const minuteMs = 60_000
const hourMs = 60 * minuteMs

for (const kind of databases) {
  describe(`sessions in ${kind.name}`, () => {
    let server: AdminServer
    let start: number
    let tables: TestDatabase
    before(async () => {
      const kept = {
        name: kind.name,
        async create() {
          tables = await kind.create()
          return tables
        },
      }
      server = await openAdminServer(kept, {
        wrap: (store) => {
          const configured = configuredKeyOf(configuredSecret, 0)
          return {
            ...store,
            adminKeys: withConfiguredKey(store.adminKeys, configured),
            sessions: withConfiguredSessions(store.sessions, configured),
          }
        },
      })
      start = server.clock.now
    })
    beforeEach(() => {
      server.clock.now = start
    })
    after(() => server.close())

    const makeKey = (
      own: readonly Scope[],
      more: { readonly expiresAt?: number; readonly allowedNetworks?: readonly string[] } = {},
    ) =>
      createAdminKey(server.store.adminKeys, { name: own.join(), scopes: own, ...more }, by(server.clock.now))
    /** As a browser sends it: the cookie, and from which page. */
    const browse = (cookie: string, request: SentRequest): Promise<Received> =>
      server.send({
        ...request,
        headers: { authorization: undefined, cookie, 'sec-fetch-site': 'same-origin', ...request.headers },
      })
    const login = (secret: string, headers: SentRequest['headers'] = {}) =>
      server.send({
        method: 'POST',
        path: '/admin/sessions',
        headers: { authorization: `Bearer ${secret}`, ...headers },
      })
    const cookieOf = ({ headers }: Received) => {
      const [line] = headers['set-cookie'] ?? []
      return line?.split(';')[0] ?? assert.fail('no cookie')
    }
    const opened = async (secret = adminSecret) => cookieOf(await login(secret))
    const current = { method: 'GET', path: '/admin/sessions/current' }
    const isOpen = async (cookie: string) => (await browse(cookie, current)).status === 200

    it('open what their key opens, route by route, and nothing else', async () => {
      for (const scope of scopes.filter((each) => allows([each], 'any'))) {
        const cookie = await opened((await makeKey([scope])).secret)
        for (const { method, path, need, operationId, credential } of routes) {
          const request = { method: method.toUpperCase(), path: path.replaceAll(/\{\w+\}/g, 'none') }
          const { status, text } = await browse(cookie, {
            ...request,
            ...(method !== 'get' && method !== 'delete' && { rawBody: '{' }),
          })
          const expected = credential === 'key' ? [401] : allows([scope], need) ? [200, 400, 404] : [403]
          assert.ok(expected.includes(status), `${operationId} as ${scope}: ${status} ${text.slice(0, 200)}`)
        }
        const said = JSON.parse((await browse(cookie, current)).text)
        assert.deepEqual(
          said.permissions,
          permissions.filter((each) => allows([scope], each)),
        )
      }
      const verifier = await makeKey(['verifier'])
      assert.equal((await login(verifier.secret)).status, 403)
      assert.equal((await login('a-wrong-key')).status, 401)
    })

    it('are opened by their cookie alone, and never together with a key', async () => {
      const cookie = await opened()
      const value = cookie.split('=')[1] ?? ''
      const path = '/admin/users?limit=1'
      for (const headers of [
        { authorization: `Bearer ${adminSecret}` },
        { authorization: `Bearer ${value}` },
        { authorization: 'Basic Og==' },
        { authorization: '' },
      ]) {
        const { status, text } = await browse(cookie, { method: 'GET', path, headers })
        assert.deepEqual([status, JSON.parse(text).code], [400, 'bad_request'], JSON.stringify(headers))
      }
      const bearer = await server.send({ method: 'GET', path, headers: { authorization: `Bearer ${value}` } })
      assert.equal(bearer.status, 401, 'its secret is no key')
      assert.equal((await browse('other=1', { method: 'GET', path })).status, 401)
      assert.equal((await browse('tollgate-session=', { method: 'GET', path })).status, 401)
      // A cookie of anything else changes nothing for a client with a key.
      assert.equal((await server.send({ method: 'GET', path, headers: { cookie: 'other=1' } })).status, 200)
    })

    it('take changes from pages of this host only, JSON or not', async () => {
      const cookie = await opened()
      const own = `http://127.0.0.1:${server.port}`
      const post = (headers: SentRequest['headers']) =>
        browse(cookie, {
          method: 'POST',
          path: '/admin/users',
          body: {},
          headers: { 'sec-fetch-site': undefined, ...headers },
        })
      const count = async () => await server.store.users.countUsers({}, server.clock.now)
      const before = await count()
      for (const headers of [
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { 'sec-fetch-site': 'none' },
        { 'sec-fetch-site': 'SAME-ORIGIN' },
        { 'sec-fetch-site': 'cross-site', origin: own },
        {},
        { origin: 'null' },
        { origin: 'https://evil.example' },
        { origin: `http://localhost:${server.port}` },
        { origin: `https://127.0.0.1:${server.port}` },
        { origin: `${own}.evil.example` },
        { origin: own, host: 'evil.example' },
        { 'content-type': 'text/plain', 'sec-fetch-site': 'cross-site' },
      ]) {
        const { status, text } = await post(headers)
        assert.equal(status, headers.host === undefined ? 403 : 401, `${JSON.stringify(headers)} ${text}`)
      }
      assert.equal(await count(), before)
      for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: own }])
        assert.equal((await post(headers)).status, 200, JSON.stringify(headers))
      for (const site of ['cross-site', 'same-site'])
        for (const method of ['GET', 'HEAD'])
          assert.equal(
            (await browse(cookie, { method, path: '/admin/users', headers: { 'sec-fetch-site': site } }))
              .status,
            403,
            'nor reads',
          )
      assert.equal((await browse(cookie, { ...current, headers: { 'sec-fetch-site': 'none' } })).status, 200)
    })

    it('have a cookie for TLS alone, but on this machine', async () => {
      const lineOf = async (headers: SentRequest['headers']) =>
        String((await login(adminSecret, headers)).headers['set-cookie'])
      const strict =
        /^__Host-tollgate-session=tgs-[0-9A-Za-z]{40}; Max-Age=43200; Path=\/; HttpOnly; Secure; SameSite=Strict$/
      for (const headers of [
        { host: 'tollgate.example' },
        { 'x-forwarded-for': '198.51.100.1' },
        { host: 'localhost.evil.example' },
      ])
        assert.match(await lineOf(headers), strict, JSON.stringify(headers))
      for (const host of [`127.0.0.1:${server.port}`, 'localhost', 'tollgate.localhost', '[::1]:8080'])
        assert.match(
          await lineOf({ host }),
          /^tollgate-session=tgs-\w{40}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
        )
      const cookie = (await lineOf({ host: 'tollgate.example' })).split(';')[0] ?? ''
      const host = { host: 'tollgate.example' }
      assert.equal((await browse(cookie, { ...current, headers: host })).status, 200)
      const bare = cookie.replace('__Host-', '')
      assert.equal(
        (await browse(bare, { ...current, headers: host })).status,
        401,
        'another page of the domain could set it',
      )
      const origin = { origin: 'https://tollgate.example', 'sec-fetch-site': undefined, ...host }
      const request = { method: 'POST', path: '/admin/users', body: {} }
      assert.equal((await browse(cookie, { ...request, headers: origin })).status, 200)
      assert.equal(
        (await browse(cookie, { ...request, headers: { ...origin, origin: 'http://tollgate.example' } }))
          .status,
        403,
      )
    })

    it('end after a pause, unless they are used, and at last in any case', async () => {
      const [idle, used] = [await opened(), await opened()]
      const left = await opened()
      server.clock.now = start + 30 * minuteMs - 1
      assert.equal(await isOpen(left), true)
      server.clock.now = start + 30 * minuteMs
      assert.equal(await isOpen(idle), false)
      for (let minute = 20; minute < 12 * 60; minute += 20) {
        server.clock.now = start + minute * minuteMs
        assert.equal(await isOpen(used), true, `after ${minute} minutes`)
      }
      server.clock.now = start + 12 * hourMs - 1
      assert.equal(await isOpen(used), true)
      server.clock.now = start + 12 * hourMs
      const ended = await browse(used, current)
      assert.deepEqual([ended.status, JSON.parse(ended.text).code], [401, 'session_ended'])
      assert.match(String(ended.headers['set-cookie']), /^tollgate-session=; Max-Age=0;/)
    })

    it('end at the times of the settings', () =>
      withAdminServer(
        kind,
        async (other) => {
          const begin = async () => {
            const said = await other.send({ method: 'POST', path: '/admin/sessions' })
            const { expiresAt, idleUntil } = JSON.parse(said.text)
            return {
              cookie: cookieOf(said),
              ends: [expiresAt - other.clock.now, idleUntil - other.clock.now],
            }
          }
          const { cookie, ends } = await begin()
          assert.deepEqual(ends, [hourMs, 2 * minuteMs])
          const status = async () => {
            const headers = { authorization: undefined, cookie, 'sec-fetch-site': 'same-origin' }
            return (await other.send({ ...current, headers })).status
          }
          for (let used = minuteMs; used < hourMs; used += minuteMs) {
            other.clock.now = start + used
            assert.equal(await status(), 200, `${used} ms: it is prolonged before it ends`)
          }
          other.clock.now = start + hourMs
          assert.equal(await status(), 401)
        },
        { sessionTimes: { idleMs: 2 * minuteMs, longestMs: hourMs } },
      ))

    it('are prolonged at most once a minute', async () => {
      const cookie = await opened()
      const idleUntil = async () => JSON.parse((await browse(cookie, current)).text).idleUntil
      await idleUntil()
      server.clock.now = start + minuteMs
      await browse(cookie, current)
      assert.equal(await idleUntil(), start + 30 * minuteMs)
      server.clock.now = start + minuteMs + 1
      await browse(cookie, current)
      assert.equal(await idleUntil(), start + minuteMs + 1 + 30 * minuteMs)
    })

    it('end with their key, and with the secret that opened them', async () => {
      const deleted = await makeKey(['users:read'])
      const byDeleted = await opened(deleted.secret)
      assert.equal(await isOpen(byDeleted), true)
      await server.send({ method: 'DELETE', path: `/admin/keys/${deleted.key.id}` })
      assert.equal(await isOpen(byDeleted), false)

      const ending = await makeKey(['users:read'], { expiresAt: start + 10 * minuteMs })
      const said = await login(ending.secret)
      assert.equal(JSON.parse(said.text).expiresAt, start + 10 * minuteMs)
      server.clock.now = start + 10 * minuteMs
      assert.equal(await isOpen(cookieOf(said)), false)
      server.clock.now = start

      const turning = await makeKey(['users:read'])
      const first = await opened(turning.secret)
      const rotate = async (body: object) =>
        JSON.parse(
          (await server.send({ method: 'POST', path: `/admin/keys/${turning.key.id}/rotate`, body })).text,
        ).key
      const second = await opened(await rotate({ previousUntil: start + 5 * minuteMs }))
      const late = await opened(turning.secret)
      assert.deepEqual([await isOpen(first), await isOpen(late), await isOpen(second)], [true, true, true])
      server.clock.now = start + 5 * minuteMs
      assert.deepEqual([await isOpen(first), await isOpen(late), await isOpen(second)], [false, false, true])
      await rotate({})
      assert.equal(await isOpen(second), false)
    })

    it('keep to the networks of their key', async () => {
      const near = await makeKey(['users:read'], { allowedNetworks: ['198.51.100.0/24'] })
      const from = (address: string) => ({ 'x-forwarded-for': address })
      const cookie = cookieOf(await login(near.secret, from('198.51.100.1')))
      assert.equal((await browse(cookie, { ...current, headers: from('198.51.100.2') })).status, 200)
      const away = await browse(cookie, { ...current, headers: from('198.51.101.1') })
      assert.deepEqual([away.status, JSON.parse(away.text).code], [403, 'address_not_allowed'])
    })

    it('of the configured key end when another is configured', async () => {
      const cookie = await opened(configuredSecret)
      const value = cookie.split('=')[1] ?? ''
      const { sessions } = server.store
      const found = (secret: string) =>
        withConfiguredSessions(sessions, configuredKeyOf(secret, 0)).findSession(value, server.clock.now)
      assert.equal((await found(configuredSecret))?.key.id, 'adk_environment')
      assert.equal(await found('another-configured-key'), undefined)
      assert.equal(await sessions.findSession(value, server.clock.now), undefined)
    })

    it('are seen and ended by their own key, and by those that look after keys', async () => {
      const [own, other, keeper] = [
        await makeKey(['users:read']),
        await makeKey(['users:read', 'usage:read']),
        await makeKey(['keys:write', 'users:read']),
      ]
      const ownCookie = await opened(own.secret)
      const otherCookie = await opened(other.secret)
      const idOf = async (cookie: string) => JSON.parse((await browse(cookie, current)).text).id
      const [ownId, otherId] = [await idOf(ownCookie), await idOf(otherCookie)]
      const second = await idOf(await opened(own.secret))
      const list = async (cookie: string) =>
        JSON.parse((await browse(cookie, { method: 'GET', path: '/admin/sessions' })).text).sessions.map(
          ({ id, isCurrent }: { id: string; isCurrent: boolean }) => [id, isCurrent],
        )
      assert.deepEqual(Object.fromEntries(await list(ownCookie)), { [ownId]: true, [second]: false })
      const keeperCookie = await opened(keeper.secret)
      const seen = await list(keeperCookie)
      for (const id of [ownId, otherId, second]) assert.ok(seen.some(([each]: [string]) => each === id))
      const end = async (cookie: string, id: string) =>
        (await browse(cookie, { method: 'DELETE', path: `/admin/sessions/${id}` })).status
      assert.equal(await end(ownCookie, otherId), 404)
      assert.equal(await end(keeperCookie, otherId), 403, 'its key has more')
      assert.equal(await end(ownCookie, second), 200)
      assert.equal(await end(keeperCookie, ownId), 200)
      assert.equal(await isOpen(ownCookie), false)
      const logout = await browse(otherCookie, { method: 'DELETE', path: '/admin/sessions/current' })
      assert.match(String(logout.headers['set-cookie']), /^tollgate-session=; Max-Age=0;/)
      assert.equal(await isOpen(otherCookie), false)
    })

    it('are not carried over a login, and are not without number', async () => {
      const before = await opened()
      const after = cookieOf(await login(adminSecret, { cookie: before }))
      assert.notEqual(before, after)
      assert.deepEqual([await isOpen(before), await isOpen(after)], [false, true])
      const { secret, key } = await makeKey(['usage:read'])
      const first = await opened(secret)
      for (let round = 0; round < 100; round++) {
        server.clock.now += 1
        await login(secret)
      }
      assert.equal(await isOpen(first), false)
      const all = await server.store.sessions.listSessions(server.clock.now)
      assert.equal(all.filter(({ session }) => session.keyId === key.id).length, 100)
    })

    it('stand in the trail of changes: who logged in, what was done, who was logged out', async () => {
      const { secret, key } = await makeKey(['users:write'])
      const cookie = await opened(secret)
      const { id } = JSON.parse((await browse(cookie, current)).text)
      const made = await browse(cookie, { method: 'POST', path: '/admin/users', body: {} })
      assert.equal(made.status, 200)
      await server.send({ method: 'DELETE', path: `/admin/sessions/${id}` })
      const rows = await tables.rows(
        `select actor_kind, actor_id, kind, object from changes order by seq desc limit 3`,
      )
      assert.deepEqual(
        rows.map(({ actor_kind, actor_id, kind, object }) => [
          actor_kind,
          actor_id === key.id || actor_id === id,
          kind,
          object === id,
        ]),
        [
          ['admin_key', false, 'session.ended', true],
          ['session', true, 'user.created', false],
          ['admin_key', true, 'session.opened', true],
        ],
      )
    })

    it('are guessed at no more than keys are', async () => {
      const from = { 'x-forwarded-for': '203.0.113.77' }
      const guess = async (round: number) =>
        (await browse(`__Host-tollgate-session=tgs-${round}`, { ...current, headers: from })).status
      for (let round = 0; round < 11; round++) assert.equal(await guess(round), 401)
      assert.equal(await guess(11), 429)
      const cookie = cookieOf(await login(adminSecret, from))
      assert.equal((await browse(cookie, { ...current, headers: from })).status, 200, 'a good one is let in')
    })

    it('are stored, listed and logged without what opens them', async () => {
      const said = await login(adminSecret)
      const value = cookieOf(said).split('=')[1] ?? assert.fail()
      await browse(cookieOf(said), { method: 'GET', path: '/admin/sessions' })
      const listed = await browse(cookieOf(said), { method: 'GET', path: '/admin/sessions' })
      assert.ok(!said.text.includes(value) && !listed.text.includes(value))
      assert.doesNotMatch(server.log(), /tgs-\w/)
      assert.match(server.log(), /"adminKeyId":"adk_\w+","sessionId":"ses_/)
    })
  })
}
