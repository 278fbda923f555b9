import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type AdminRoute, createAdminRoutes } from '#admin/routes.ts'
import { errorTable } from '#core/errors.ts'
import { builtInFamilies } from '#core/family.ts'
import { allows, permissions, type Scope, scopes } from '#core/scopes.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { verifierRoutes } from '#verifier/routes.ts'
import { mismatches } from './support/admin-matching.ts'
import { type AdminServer, openAdminServer, type Received, type SentRequest } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { newUserId } from './support/ledger.ts'
import { databases } from './support/stores.ts'

/**
 * What a key with few scopes sees and changes, by every route of the list: a route that is added to it later is tried
 * here as well.
 */
const routes = createAdminRoutes({ families: builtInFamilies, limits: {} })

/** The scopes that change nothing, whatever the route says of itself. */
const readingScopes: readonly Scope[] = [
  'users:read',
  'usage:read',
  'audit:read',
  'settings:read',
  'tokens:reveal',
]

/** Bodies with which a route of the list may succeed; a route without one is sent an empty object. */
const bodies: Readonly<Record<string, (world: World) => unknown>> = {
  createUser: () => ({ nickname: 'new' }),
  bulkUpsertUsers: (world) => ({ users: [{ token: world.chosen, nickname: 'bulk' }] }),
  addToQuota: () => ({ family: 'turbo', units: 1 }),
  lookUpToken: (world) => ({ token: world.accessToken }),
  createKey: () => ({ name: 'another', scopes: ['users:read'] }),
  purgeUser: (world) => ({ id: world.goneId }),
}

interface World {
  readonly id: string
  /** Made by the server. */
  readonly accessToken: string
  /** Chosen by an administrator; also the user's id is known. */
  readonly chosen: string
  readonly keyId: string
  /** The id of a user whose access token may be replaced. */
  readonly turnedId: string
  /** The id of a user who may be purged. */
  readonly goneId: string
}

for (const kind of databases) {
  describe(`scopes of admin keys in ${kind.name}`, () => {
    let server: AdminServer
    let world: World
    const secrets = new Map<Scope, string>()

    before(async () => {
      server = await openAdminServer(kind)
      const { adminKeys, users } = server.store
      for (const scope of scopes) {
        const made = await createAdminKey(adminKeys, { name: scope, scopes: [scope] }, by(server.clock.now))
        secrets.set(scope, made.secret)
      }
      const made = await users.insertUser({ quotaLimits: { turbo: 100 } }, by(server.clock.now))
      assert.equal(made.kind, 'created')
      const chosen = 'a-chosen-access-token-of-a-user'
      await users.writeUsers([{ ref: { accessToken: chosen }, edit: {} }], by(server.clock.now))
      const turned = await users.insertUser({}, by(server.clock.now + 1))
      assert.equal(turned.kind, 'created')
      const goneId = await newUserId(server.store, server.clock.now)
      const other = await createAdminKey(
        adminKeys,
        { name: 'target', scopes: ['users:read'] },
        by(server.clock.now),
      )
      if (made.kind !== 'created' || turned.kind !== 'created') return
      const { id, accessToken } = made.user
      world = { id, accessToken, chosen, keyId: other.key.id, turnedId: turned.user.id, goneId }
    })
    after(() => server.close())

    const as = (secret: string, request: SentRequest): Promise<Received> =>
      server.send({ ...request, headers: { authorization: `Bearer ${secret}`, ...request.headers } })
    const secretOf = (scope: Scope) => secrets.get(scope) ?? assert.fail(scope)
    const makeKey = async (...own: Scope[]) =>
      (await createAdminKey(server.store.adminKeys, { name: own.join(), scopes: own }, by(server.clock.now)))
        .secret

    /** What ends a user, or an access token, is tried on one of its own. */
    function chosenFor(operationId: string): string {
      if (operationId === 'purgeUser') return world.goneId
      return operationId === 'rotateToken' ? world.turnedId : world.id
    }

    /** A request of a route that may succeed. */
    function requestOf({ method, path, operationId }: AdminRoute): SentRequest {
      const filled = path
        .replace('{token}', chosenFor(operationId))
        .replace('/admin/keys/{id}', `/admin/keys/${world.keyId}`)
        .replaceAll(/\{\w+\}/g, 'anything')
      const hasBody = method === 'post' || method === 'put'
      const body = hasBody ? (bodies[operationId]?.(world) ?? {}) : undefined
      return { method: method.toUpperCase(), path: filled, ...(hasBody && { body }) }
    }

    /** What is stored of users and keys. */
    async function snapshot(): Promise<string> {
      const { users } = await server.store.users.listUsers({ limit: 10_000, now: server.clock.now })
      const keys = await server.store.adminKeys.listAdminKeys()
      return JSON.stringify([users, keys], (_, value) => (value instanceof Map ? [...value] : value))
    }

    it('opens each route to those that meet its need, and to no other, whatever the body', async () => {
      assert.ok(routes.length > 15)
      for (const route of routes) {
        const { need, operationId } = route
        for (const scope of scopes) {
          const { body: _, ...bare } = requestOf(route)
          const before = await snapshot()
          // Half a body: a request that is let in is told so, and changes nothing.
          const { status, text } = await as(secretOf(scope), {
            ...bare,
            path: bare.path
              .replace(world.id, 'usr_000000000000000000000000')
              .replace(world.keyId, 'adk_none'),
            ...(bare.method !== 'GET' && bare.method !== 'DELETE' && { rawBody: '{' }),
          })
          const what = `${operationId} as ${scope}: ${status} ${text.slice(0, 200)}`
          if (allows([scope], need)) assert.ok([200, 400, 404].includes(status), what)
          else assert.deepEqual([status, JSON.parse(text).code], [403, 'forbidden'], what)
          assert.equal(await snapshot(), before, what)
        }
      }
    })

    it('lets who may only read change nothing, by any route', async () => {
      for (const scope of readingScopes)
        for (const route of routes) {
          const before = await snapshot()
          const request = requestOf(route)
          const { status } = await as(secretOf(scope), request)
          assert.equal(await snapshot(), before, `${route.operationId} as ${scope}: ${status}`)
        }
    })

    it('opens nothing of the admin API to another gateway, known or not', async () => {
      for (const scope of ['verifier', 'verify', 'usage:write'] as const)
        for (const request of [
          ...routes.map(requestOf),
          { method: 'GET', path: '/admin/nothing' },
          { method: 'PATCH', path: '/admin/users' },
        ])
          assert.equal((await as(secretOf(scope), request)).status, 403, `${scope} ${request.path}`)
    })

    it('tells who opens the admin API at all that a path or method is none', async () => {
      for (const scope of permissions.filter((each) => allows([each], 'any'))) {
        assert.equal((await as(secretOf(scope), { method: 'GET', path: '/admin/nothing' })).status, 404)
        assert.equal((await as(secretOf(scope), { method: 'PATCH', path: '/admin/users' })).status, 405)
      }
    })

    it('shows no access token without tokens:reveal, by any route and any other scopes together', async () => {
      const others = permissions.filter((each) => each !== 'tokens:reveal' && allows([each], 'any'))
      const secret = await makeKey(...others)
      let masks = 0
      for (const route of routes) {
        const before = await tokens()
        const request = requestOf(route)
        const { status, text, headers } = await as(secret, request)
        const shown = JSON.stringify(headers) + text
        for (const accessToken of before)
          assert.ok(!shown.includes(accessToken), `${route.operationId} ${status} shows an access token`)
        if (text.includes('…')) masks++
      }
      assert.ok(masks > 5, `only ${masks} answers hold a mask`)
    })

    const tokens = async () =>
      (await server.store.users.listUsers({ limit: 10_000, now: server.clock.now })).users.map(
        ({ accessToken }) => accessToken,
      )

    /** As a browser sends it, from a page of this host. */
    async function browsing(
      secret: string,
      from: SentRequest['headers'] = {},
    ): Promise<(request: SentRequest) => Promise<Received>> {
      const { headers } = await as(secret, { method: 'POST', path: '/admin/sessions', headers: from })
      const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? assert.fail('no cookie')
      const own = { ...from, authorization: undefined, cookie, 'sec-fetch-site': 'same-origin' }
      return (request) => server.send({ ...request, headers: { ...own, ...request.headers } })
    }

    it('shows a session an access token where it asks for that one or for all, by no other route', async () => {
      const browse = await browsing(await makeKey('admin'))
      const exported = { method: 'GET', path: '/admin/users/export?format=ndjson' }
      const isAsked = (operationId: string) => ['revealToken', 'exportUsers'].includes(operationId)
      let masks = 0
      for (const route of routes) {
        const before = await tokens()
        const request = route.operationId === 'exportUsers' ? exported : requestOf(route)
        const { status, text, headers } = await browse(request)
        const shown = JSON.stringify(headers) + text
        const isShown = before.some((accessToken) => shown.includes(accessToken))
        assert.equal(isShown, isAsked(route.operationId), `${route.operationId} ${status}`)
        if (text.includes('…')) masks++
      }
      assert.ok(masks > 5, `only ${masks} answers hold a mask`)
      const { text } = await browse({
        method: 'POST',
        path: `/admin/users/${world.turnedId}/rotate`,
        body: {},
      })
      assert.ok((await tokens()).includes(JSON.parse(text).token), 'what was just made is shown')
    })

    it('shows to a key with tokens:reveal what it shows to an administrator', async () => {
      const secret = await makeKey('users:read', 'tokens:reveal')
      // A page that holds all of them: which user comes last is chance where two were made in one millisecond.
      for (const path of [`/admin/users/${world.id}`, '/admin/users', '/admin/users?limit=100']) {
        const own = await as(secret, { method: 'GET', path })
        const administrators = await server.send({ method: 'GET', path })
        assert.equal(own.text, administrators.text)
        assert.equal(own.headers.etag, administrators.headers.etag)
        assert.ok(own.text.includes(world.accessToken))
      }
    })

    it('differs for a key without it in the token alone, the ETag not', async () => {
      const { accessToken, chosen, id } = world
      const mask = `${accessToken.slice(0, 10)}…${accessToken.slice(-4)}`
      for (const path of [`/admin/users/${id}`, `/admin/users/${accessToken}`]) {
        const own = await as(secretOf('users:read'), { method: 'GET', path })
        const administrators = await server.send({ method: 'GET', path })
        assert.deepEqual(JSON.parse(own.text), { ...JSON.parse(administrators.text), token: mask })
        assert.equal(own.headers.etag, administrators.headers.etag)
      }
      for (const path of ['/admin/users', '/admin/users?limit=100']) {
        const { text } = await as(secretOf('users:read'), { method: 'GET', path })
        const shown = JSON.parse(text).users.map((user: { token: string }) => user.token)
        assert.ok(shown.includes(mask) && shown.includes(`…${chosen.slice(-4)}`), shown.join(' '))
      }
    })

    it('lets a search find by no more of a token than is shown', async () => {
      const { accessToken, chosen } = world
      const found = async (q: string) =>
        JSON.parse(
          (
            await as(secretOf('users:read'), {
              method: 'GET',
              path: `/admin/users?q=${encodeURIComponent(q)}`,
            })
          ).text,
        ).count
      assert.ok((await found(accessToken.slice(-4))) > 0)
      for (let at = 10; at + 3 <= accessToken.length - 3; at++)
        assert.equal(await found(accessToken.slice(at, at + 5)), 0, `characters from ${at}`)
      assert.equal(await found(chosen.slice(-5)), 0)
      assert.equal(await found(accessToken), 0)
    })

    it('lets no key that sees masks find chosen tokens by trying', async () => {
      const guesser = { 'x-forwarded-for': '203.0.113.90' }
      const secret = secretOf('users:write')
      const guess = (name: string, method = 'GET', more = '') =>
        as(secret, { method, path: `/admin/users/${name}${more}`, headers: guesser })
      const ways = [
        (round: number) => guess(`guess-${round}`),
        (round: number) => guess(`guess-${round}`, 'GET', '/quota'),
        (round: number) => guess(`guess-${round}`, 'DELETE'),
        (round: number) =>
          as(secret, {
            method: 'POST',
            path: '/admin/tokens/lookup',
            body: { token: `guess-${round}` },
            headers: guesser,
          }),
      ]
      for (let round = 0; round < 11; round++)
        assert.equal((await ways[round % ways.length]?.(round))?.status, 404, `${round}`)
      for (const way of ways) assert.equal((await way(99))?.status, 429)
      assert.equal((await guess(world.chosen)).status, 429, 'a right one is not told from a wrong one')
      // What cannot be guessed, an id, another place, and a key that sees tokens anyway are not held up.
      assert.equal((await guess(world.accessToken)).status, 200)
      assert.equal((await guess(world.id)).status, 200)
      assert.equal((await as(secret, { method: 'GET', path: `/admin/users/${world.chosen}` })).status, 200)
      for (let round = 20; round < 40; round++)
        assert.equal(
          (await server.send({ method: 'GET', path: `/admin/users/guess-${round}`, headers: guesser }))
            .status,
          404,
        )
      const browse = await browsing(await makeKey('users:read', 'tokens:reveal'), guesser)
      for (let round = 40; round < 60; round++) {
        const request = { method: 'GET', path: `/admin/users/guess-${round}` }
        assert.equal((await browse(request)).status, 404, 'a session of such a key')
      }
    })

    it('gives a new token to the key that makes its user, once', async () => {
      const secret = secretOf('users:write')
      const headers = { 'idempotency-key': 'once' }
      const request = { method: 'POST', path: '/admin/users', body: { nickname: 'fresh' }, headers }
      const first = await as(secret, request)
      const { token, id } = JSON.parse(first.text)
      assert.match(token, /^sk-tg-[0-9A-Za-z]{38}$/)
      const again = await as(secret, request)
      assert.equal(again.headers['idempotency-replayed'], 'true')
      assert.deepEqual(JSON.parse(again.text), { token: `${token.slice(0, 10)}…${token.slice(-4)}`, id })
      const full = await makeKey('users:write', 'tokens:reveal')
      const [one, two] = [await as(full, request), await as(full, request)]
      assert.equal(JSON.parse(one.text).token, JSON.parse(two.text).token)
    })

    it('takes back what it shows, and makes no user of a mask', async () => {
      const secret = secretOf('users:write')
      const { accessToken, id, chosen } = world
      for (const name of [id, accessToken]) {
        const path = `/admin/users/${name}`
        const got = await as(secret, { method: 'GET', path })
        const put = await as(secret, { method: 'PUT', path, rawBody: got.text })
        assert.deepEqual([put.status, JSON.parse(put.text)], [200, JSON.parse(got.text)])
        const wrong = await as(secret, { method: 'PUT', path, body: { token: chosen } })
        assert.equal(wrong.status, 400)
      }
      const before = await snapshot()
      for (const mask of [
        `${accessToken.slice(0, 10)}…${accessToken.slice(-4)}`,
        `…${chosen.slice(-4)}`,
        '…',
      ]) {
        const path = `/admin/users/${encodeURIComponent(mask)}`
        for (const request of [
          { method: 'PUT', path, body: {} },
          { method: 'DELETE', path },
          { method: 'PUT', path: '/admin/users', body: { users: [{ token: mask }] } },
        ]) {
          const { status, text } = await as(secret, request)
          assert.equal(status, 400, text)
          assert.match(text, /masked token/)
        }
      }
      assert.equal(await snapshot(), before)
      // An administrator may choose any name for a token.
      const { status } = await server.send({
        method: 'PUT',
        path: `/admin/users/${encodeURIComponent('…abcd')}`,
        body: {},
      })
      assert.equal(status, 200)
    })

    it('lets no key make, take over or delete one with more than it has', async () => {
      const ending = server.clock.now + 1000
      const networks = ['127.0.0.0/8', '2001:db8::/32']
      const { secret } = await createAdminKey(
        server.store.adminKeys,
        {
          name: 'small',
          scopes: ['keys:write', 'users:write'],
          expiresAt: ending,
          allowedNetworks: networks,
        },
        by(server.clock.now),
      )
      const make = (body: object) =>
        as(secret, { method: 'POST', path: '/admin/keys', body: { name: 'x', ...body } })
      for (const [body, of] of [
        [{}, 'scopes'],
        [{ scopes: ['admin'] }, 'scopes'],
        [{ scopes: ['verifier'] }, 'scopes'],
        [{ scopes: ['users:read', 'usage:read'] }, 'scopes'],
        [{ scopes: ['tokens:reveal'] }, 'scopes'],
        [{ scopes: ['users:read'], expiresAt: ending + 1 }, 'expiresAt'],
        [{ scopes: ['users:read'], allowedNetworks: ['127.0.0.0/7'] }, 'allowedNetworks'],
        [{ scopes: ['users:read'], allowedNetworks: ['127.0.0.1', '10.0.0.1'] }, 'allowedNetworks'],
        [{ scopes: ['users:read'], allowedNetworks: ['::/0'] }, 'allowedNetworks'],
      ] as const) {
        const { status, text } = await make(body)
        assert.deepEqual(
          [status, mismatches(JSON.parse(text), { code: 'forbidden', issues: [{ path: of }] })],
          [403, []],
          `${JSON.stringify(body)}: ${text}`,
        )
      }
      const made = JSON.parse((await make({ scopes: ['users:read', 'keys:write'] })).text)
      assert.deepEqual(
        [made.expiresAt, made.allowedNetworks],
        [ending, networks],
        'what was not said is inherited',
      )
      const less = await make({
        scopes: ['users:write'],
        expiresAt: ending - 1,
        allowedNetworks: ['127.0.0.1', '2001:db8:1::/48'],
      })
      assert.equal(less.status, 200, less.text)

      const keys = await server.store.adminKeys.listAdminKeys()
      const before = await snapshot()
      const idOf = (name: string) => keys.find((key) => key.name === name)?.id ?? assert.fail(name)
      for (const name of ['admin', 'verifier', 'usage:read', 'tokens:reveal'])
        for (const request of [
          { method: 'DELETE', path: `/admin/keys/${idOf(name)}` },
          { method: 'POST', path: `/admin/keys/${idOf(name)}/rotate` },
        ])
          assert.equal((await as(secret, request)).status, 403, `${request.method} ${name}`)
      // It has the scope, but no end: who got its secret would have none either.
      const endless = `/admin/keys/${idOf('users:read')}`
      assert.equal((await as(secret, { method: 'POST', path: `${endless}/rotate` })).status, 403)
      assert.equal(await snapshot(), before)
      assert.equal((await as(secret, { method: 'POST', path: `/admin/keys/${made.id}/rotate` })).status, 200)
      assert.equal((await as(secret, { method: 'DELETE', path: `/admin/keys/${made.id}` })).status, 200)
    })

    it('lets a key in from its networks only, and tells the others apart from a guess', async () => {
      const { secret } = await createAdminKey(
        server.store.adminKeys,
        { name: 'near', scopes: ['users:read'], allowedNetworks: ['198.51.100.0/24', '2001:db8::/32'] },
        by(server.clock.now),
      )
      const from = (address: string) =>
        as(secret, {
          method: 'GET',
          path: `/admin/users/${world.id}`,
          headers: { 'x-forwarded-for': address },
        })
      for (const address of ['198.51.100.1', '2001:DB8::1', '::ffff:198.51.100.7'])
        assert.equal((await from(address)).status, 200, address)
      for (let round = 0; round < 15; round++) {
        const { status, text } = await from('198.51.101.1')
        assert.deepEqual([status, JSON.parse(text).code], [403, 'address_not_allowed'])
      }
      assert.equal((await from('2001:db9::1')).status, 403)
    })

    it('takes the secret before a rotation until the time that was given, and no longer', async () => {
      const first = await createAdminKey(
        server.store.adminKeys,
        { name: 'turning', scopes: ['users:read'] },
        by(server.clock.now),
      )
      const start = server.clock.now
      const opens = async (secret: string) =>
        (await as(secret, { method: 'GET', path: `/admin/users/${world.id}` })).status === 200
      const rotate = async (body?: object) => {
        const request = { method: 'POST', path: `/admin/keys/${first.key.id}/rotate`, ...(body && { body }) }
        return JSON.parse((await server.send(request)).text)
      }
      const second = await rotate({ previousUntil: start + 1000 })
      assert.deepEqual(
        [second.id, second.previousUntil, second.rotatedAt],
        [first.key.id, start + 1000, start],
      )
      server.clock.now = start + 999
      assert.deepEqual([await opens(first.secret), await opens(second.key)], [true, true])
      server.clock.now = start + 1000
      assert.deepEqual([await opens(first.secret), await opens(second.key)], [false, true])
      const third = await rotate({ previousUntil: start + 9000 })
      const fourth = await rotate()
      assert.deepEqual(
        [await opens(first.secret), await opens(second.key), await opens(third.key), await opens(fourth.key)],
        [false, false, false, true],
        'a rotation without a time ends all before',
      )
      const fifth = await rotate({ previousUntil: start + 9000 })
      await server.send({ method: 'DELETE', path: `/admin/keys/${first.key.id}` })
      assert.deepEqual([await opens(fourth.key), await opens(fifth.key)], [false, false])
    })
  })
}

describe('the needs of routes', () => {
  const needs = [...permissions, 'any']

  it('are said by every route of both planes', () => {
    for (const { operationId, need } of routes) assert.ok(needs.includes(need), operationId)
    for (const { template, need } of verifierRoutes)
      assert.ok(['verify', 'usage:write'].includes(need), template)
  })

  it('stand in the description of each operation', async () => {
    const server = await openAdminServer(databases[0] ?? assert.fail())
    try {
      const { text } = await server.send({ method: 'GET', path: '/openapi.json' })
      const { paths } = JSON.parse(text)
      for (const { method, path, need, credential } of routes) {
        const { security, responses } = paths[path][method]
        const roles = need === 'any' ? [] : [need]
        const bySession = credential === 'key' ? [] : [{ session: roles }]
        assert.deepEqual(security, [{ adminKey: roles }, ...bySession], path)
        assert.match(responses[403].description, new RegExp(errorTable.address_not_allowed.message))
      }
    } finally {
      await server.close()
    }
  })
})
