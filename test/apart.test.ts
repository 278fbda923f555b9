import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createAdminRoutes } from '#admin/routes.ts'
import { builtInFamilies } from '#core/family.ts'
import { allows, type Scope } from '#core/scopes.ts'
import { providers } from '#providers/all.ts'
import { verifierRoutes } from '#verifier/routes.ts'
import { makeFolder } from './support/folder.ts'
import { type Answer, call } from './support/gateway-client.ts'
import { type Program, startProgram } from './support/process.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/**
 * Two holders and two admin keys with few scopes, on a running program: each of them tries every route of every plane on
 * what belongs to the other. A route that is added to a list later is tried here as well.
 */
interface Holder {
  readonly token: string
  readonly id: string
}

const adminRoutes = createAdminRoutes({ families: builtInFamilies, limits: {} })
const scopesOf = {
  first: ['users:read', 'usage:read'],
  second: ['audit:read', 'settings:read'],
} as const satisfies Readonly<Record<string, readonly Scope[]>>

/** A route of any plane, with its path filled for one who tries it. */
interface Tried {
  readonly method: string
  readonly path: string
}

for (const kind of databases)
  describe(`two holders and two scoped keys on ${kind.name}`, { timeout: 300_000 }, () => {
    const folder = makeFolder()
    let database: TestDatabase
    let program: Program
    let port = 0
    let [ann, bob]: readonly Holder[] = []
    const keys = { first: '', second: '' }
    const sessions = { first: '', second: '' }
    const cookies = { first: '', second: '' }
    let [spare, bulk] = ['', '']

    const admin = { authorization: 'Bearer demo-admin-key-1' }
    const ask = async (method: string, path: string, body?: unknown, headers: object = admin) => {
      const answer = await call(port, { method, path, body, headers: { ...headers } })
      assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`)
      return JSON.parse(answer.text)
    }

    before(async () => {
      database = await kind.create()
      const env = { ...database.env, DATA_DIR: folder.path, PORT: '0', LOG_LEVEL: 'error' }
      program = startProgram(['--demo'], env, folder.path)
      port = Number(new URL(await program.listening).port)
      const holder = async (name: string): Promise<Holder> => {
        const edit = { nickname: `${name}-nickname`, adminNote: `${name}-note`, tags: [`${name}-tag`] }
        const made = await ask('PUT', `/admin/users/${name}-token`, {
          ...edit,
          tokenLimits: { turbo: 100_000 },
        })
        const body = {
          model: `gpt-4o-mini`,
          user: `${name}-user`,
          messages: [{ role: 'user', content: `${name}-prompt` }],
        }
        await ask('POST', '/v1/chat/completions', body, { authorization: `Bearer ${made.token}` })
        return made
      }
      ;[ann, bob] = [await holder('sentinel-ann'), await holder('sentinel-bob')]
      for (const name of ['first', 'second'] as const) {
        const made = await ask('POST', '/admin/keys', { name: `${name}-key`, scopes: scopesOf[name] })
        keys[name] = made.key
        const login = await call(port, {
          path: '/admin/sessions',
          headers: { authorization: `Bearer ${made.key}`, 'sec-fetch-site': 'same-origin' },
        })
        sessions[name] = JSON.parse(login.text).id
        cookies[name] = String(login.headers['set-cookie']).split(';')[0] ?? ''
      }
      spare = (await ask('POST', '/admin/keys', { name: 'spare', scopes: ['users:read'] })).id
      const action = { action: { kind: 'tag', add: ['bulk'] }, ids: [bob?.id] }
      bulk = (await ask('POST', '/admin/users/bulk', action)).id
    })
    after(async () => {
      program.process.kill('SIGTERM')
      await program.exit
      await database.remove()
      folder.remove()
    })

    /** Every route of every plane, on what belongs to `owner`, named by id and by access token. */
    function routesOn(owner: Holder): readonly Tried[] {
      const ids: Readonly<Record<string, string>> = { keys: spare, sessions: sessions.second, bulk }
      const filled = adminRoutes.flatMap(({ method, path }) =>
        [owner.id, owner.token].map((name) => ({
          method: method.toUpperCase(),
          path: path
            .replace('{token}', name)
            .replace(
              /\/admin\/(\w+)\/\{id\}/,
              (_, group: string) => `/admin/${group}/${ids[group] ?? 'none'}`,
            )
            .replaceAll(/\{\w+\}/g, 'none'),
        })),
      )
      const verifier = verifierRoutes.map(({ template }) => ({
        method: 'POST',
        path: template.replace('{id}', 'none'),
      }))
      const gateway = providers.flatMap(({ endpoints, modelsPath }) => [
        ...endpoints.map(({ path, method = 'POST' }) => ({
          method,
          path: path.replace('{model}', 'gpt-4o-mini'),
        })),
        { method: 'GET', path: modelsPath },
      ])
      const queries = [`?user=${owner.id}`, `?token=${owner.token}`, `?groupBy=user`].map((query) => ({
        method: 'GET',
        path: `/v1/usage${query}`,
      }))
      return [...filled, ...verifier, ...gateway, { method: 'GET', path: '/v1/usage' }, ...queries]
    }

    /** A body that names the owner wherever a route may read a name. */
    const bodyOn = ({ token, id }: Holder) => ({
      ...{ token, id, user: token, users: [{ token, nickname: 'taken' }], ids: [id] },
      ...{ action: { kind: 'disable' }, family: 'turbo', units: 5, accessToken: token, nickname: 'taken' },
      ...{ model: 'gpt-4o-mini', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }], input: 'hi' },
    })

    const send = ({ method, path }: Tried, owner: Holder, headers: Readonly<Record<string, string>>) =>
      call(port, { method, path, headers, ...(method !== 'GET' && { body: bodyOn(owner) }) })

    /** What an administrator sees of a holder, with everything that was booked. */
    async function stateOf({ id }: Holder): Promise<string> {
      const parts = await Promise.all([
        ask('GET', `/admin/users/${id}`),
        ask('GET', `/admin/users/${id}/usage?groupBy=model,status`),
        ask('GET', `/admin/requests?user=${id}`),
        ask('GET', '/admin/keys'),
      ])
      return JSON.stringify(parts, (name, value) =>
        name === 'lastUsedAt' || name === 'to' || name === 'from' ? undefined : value,
      )
    }

    function assertSilent(what: string, { text, headers }: Answer, owner: Holder, name: string): void {
      const shown = text + JSON.stringify(headers)
      for (const secret of [
        owner.token,
        owner.id,
        `${name}-nickname`,
        `${name}-note`,
        `${name}-tag`,
        `${name}-prompt`,
      ])
        assert.ok(!shown.includes(secret), `${what} shows ${secret}: ${text.slice(0, 300)}`)
    }

    it('a holder sees and changes nothing of the other, by any route and in any header', async () => {
      const [one, other] = [ann ?? assert.fail(), bob ?? assert.fail()]
      const before = await stateOf(other)
      let admitted = 0
      for (const route of routesOn(other))
        for (const headers of [{ authorization: `Bearer ${one.token}` }, { 'x-api-key': one.token }]) {
          const answer = await send(route, other, headers)
          const what = `${route.method} ${route.path}: ${answer.status}`
          assertSilent(what, answer, other, 'sentinel-bob')
          if (route.path.startsWith('/admin/')) assert.equal(answer.status, 401, what)
          if (/^\/(?:auth|usage)\b/.test(route.path)) assert.ok([400, 401, 403].includes(answer.status), what)
          if (answer.status === 200) admitted += 1
        }
      assert.ok(admitted > 5, `only ${admitted} requests were answered`)
      assert.equal(await stateOf(other), before)
    })

    it('a scoped key sees and changes nothing beyond its scopes, by any route, as key, as session, or as access token', async () => {
      const other = bob ?? assert.fail()
      for (const name of ['first', 'second'] as const) {
        const before = await stateOf(other)
        const needs = new Map(adminRoutes.map(({ method, path, need }) => [`${method} ${path}`, need]))
        assert.ok(needs.size > 30)
        const tries = [
          { authorization: `Bearer ${keys[name]}` },
          { cookie: cookies[name], 'sec-fetch-site': 'same-origin' },
          { 'x-api-key': keys[name] },
        ]
        for (const route of routesOn(other))
          for (const headers of tries) {
            // Of a session that was not opened by itself.
            if (route.path === `/admin/sessions/${sessions.second}` && name === 'second') continue
            const answer = await send(route, other, headers)
            const what = `${name} ${Object.keys(headers)[0]} ${route.method} ${route.path}: ${answer.status}`
            const mayRead = name === 'first' && route.method === 'GET' && route.path.startsWith('/admin/')
            if (mayRead) assert.ok(!answer.text.includes(other.token), `${what} shows an access token`)
            // The audit trail tells of users by id, without what they are named.
            else if (!route.path.startsWith('/admin/audit')) assertSilent(what, answer, other, 'sentinel-bob')
            if (!route.path.startsWith('/admin/')) assert.notEqual(answer.status, 200, what)
          }
        assert.equal(await stateOf(other), before, name)
      }
      assert.ok(!allows(scopesOf.first, 'users:write') && !allows(scopesOf.second, 'users:read'))
    })

    it('a scoped key neither sees nor ends the session of the other', async () => {
      for (const [name, others] of [
        ['first', 'second'],
        ['second', 'first'],
      ] as const) {
        const authorization = { authorization: `Bearer ${keys[name]}` }
        const list = await ask('GET', '/admin/sessions', undefined, authorization)
        assert.deepEqual(
          list.sessions.map(({ id }: { readonly id: string }) => id),
          [sessions[name]],
        )
        for (const method of ['GET', 'DELETE']) {
          const path = `/admin/sessions/${sessions[others]}`
          assert.equal((await call(port, { method, path, headers: authorization })).status, 404, method)
        }
        await ask('GET', '/admin/whoami', undefined, {
          cookie: cookies[others],
          'sec-fetch-site': 'same-origin',
        })
      }
    })
  })
