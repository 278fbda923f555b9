import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { generate } from 'otplib'
import type { Scope } from '#core/scopes.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { openStore } from '#storage/open.ts'
import { type AdminServer, adminSecret, openAdminServer, type SentRequest } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/** Admin keys with an authenticator app: what opens a session, how often, and what is left of the key alone. */
for (const kind of databases) {
  describe(`second factors in ${kind.name}`, () => {
    let server: AdminServer
    let tables: TestDatabase
    before(async () => {
      server = await openAdminServer({
        name: kind.name,
        async create() {
          tables = await kind.create()
          return tables
        },
      })
    })
    after(() => server.close())

    const as = async (secret: string, method: string, path: string, body?: unknown) => {
      const headers = { authorization: `Bearer ${secret}` }
      const said = await server.send({ method, path, headers, ...(body !== undefined && { body }) })
      return { ...said, json: JSON.parse(said.text) }
    }
    const make = (...scopes: Scope[]) =>
      createAdminKey(server.store.adminKeys, { name: 'ann', scopes }, by(server.clock.now))
    const codeAt = (secret: string, at = server.clock.now) =>
      generate({ secret, epoch: Math.floor(at / 1000) })
    const login = (secret: string, code?: string) =>
      as(secret, 'POST', '/admin/sessions', code === undefined ? {} : { code })
    const cookieOf = ({ headers }: { readonly headers: SentRequest['headers'] | object }) => {
      const lines: unknown = Reflect.get(headers ?? {}, 'set-cookie')
      return Array.isArray(lines) ? String(lines[0]).split(';')[0] : assert.fail('no cookie')
    }
    const next = () => {
      server.clock.now += 60_000
    }

    /** A key with a confirmed second factor. */
    async function enrolled(...scopes: Scope[]) {
      const { key, secret } = await make(...scopes)
      const path = `/admin/keys/${key.id}/second-factor`
      const begun = await as(secret, 'POST', path)
      assert.equal(begun.status, 200, begun.text)
      const app: string = begun.json.secret
      assert.equal((await as(secret, 'POST', `${path}/confirm`, { code: await codeAt(app) })).status, 200)
      next()
      const codes: readonly string[] = begun.json.recoveryCodes
      return { key, secret, path, app, codes, uri: String(begun.json.uri) }
    }

    it('apply from their confirmation on: the key opens sessions only, each with a code', async () => {
      const { key, secret } = await make('users:read')
      const path = `/admin/keys/${key.id}/second-factor`
      const first = await as(secret, 'POST', path)
      const begun = await as(secret, 'POST', path)
      assert.notEqual(first.json.secret, begun.json.secret, 'one that was not confirmed is replaced')
      assert.equal((await as(secret, 'GET', '/admin/users?limit=1')).status, 200, 'it does not apply yet')
      assert.equal((await login(secret)).status, 200)
      assert.equal(
        (await as(secret, 'POST', `${path}/confirm`, { code: await codeAt(first.json.secret) })).status,
        401,
      )
      const before = cookieOf(await login(secret))
      const code = await codeAt(begun.json.secret)
      assert.equal((await as(secret, 'POST', `${path}/confirm`, { code })).status, 200)
      const barred = await as(secret, 'GET', '/admin/users?limit=1')
      assert.deepEqual([barred.status, barred.json.code], [401, 'code_needed'])
      const current = (cookie: string | undefined) =>
        server.send({
          method: 'GET',
          path: '/admin/sessions/current',
          headers: { authorization: undefined, cookie },
        })
      assert.equal((await current(before)).status, 401, 'a session without a code ends')
      assert.deepEqual(
        [(await login(secret)).json.code, (await login(secret, '')).json.code],
        ['code_needed', 'code_needed'],
      )
      assert.equal((await login(secret, code)).json.code, 'wrong_code', 'no code is taken twice')
      next()
      const opened = await login(secret, await codeAt(begun.json.secret))
      assert.equal(opened.status, 200)
      assert.equal((await current(cookieOf(opened))).status, 200)
      const listed = (await as(adminSecret, 'GET', '/admin/keys')).json.keys
      assert.ok(
        listed.some(
          (each: { id: string; secondFactorAt?: number }) => each.id === key.id && each.secondFactorAt,
        ),
      )
    })

    it('take a code a moment early or late, each once, also where logins come at once', async () => {
      const { secret, app } = await enrolled('users:read')
      const { now } = server.clock
      for (const off of [-90_000, 90_000])
        assert.equal((await login(secret, await codeAt(app, now + off))).status, 401, `${off} ms`)
      assert.equal((await login(secret, await codeAt(app, now - 30_000))).status, 200)
      const code = await codeAt(app, now + 30_000)
      const statuses = (await Promise.all(Array.from({ length: 4 }, () => login(secret, code)))).map(
        ({ status }) => status,
      )
      assert.deepEqual(statuses.toSorted(), [200, 401, 401, 401])
      assert.equal((await login(secret, await codeAt(app, now))).status, 401, 'nor an earlier one after it')
    })

    it('have recovery codes, each good once', async () => {
      const { secret, codes } = await enrolled('users:read')
      assert.equal(new Set(codes).size, 10)
      const [one = '', two = ''] = codes
      assert.match(one, /^[a-z2-9]{4}(?:-[a-z2-9]{4}){3}$/)
      assert.equal((await login(secret, ` ${one.toUpperCase()} `)).status, 200)
      assert.equal((await login(secret, one)).status, 401)
      const statuses = (await Promise.all([login(secret, two), login(secret, two)])).map(
        ({ status }) => status,
      )
      assert.deepEqual(statuses.toSorted(), [200, 401])
      const other = await enrolled('users:read')
      assert.equal((await login(secret, other.codes[0])).status, 401, "another key's")
    })

    it('are not found by trying, from however many places', async () => {
      const { key, secret, app, codes } = await enrolled('users:read')
      for (let round = 0; round < 5; round++) assert.equal((await login(secret, '000000')).status, 401)
      for (const code of ['000001', await codeAt(app), codes[0]]) {
        const { status, headers } = await login(secret, code)
        assert.deepEqual([status, headers['retry-after']], [429, '300'], String(code))
      }
      server.clock.now += 300_000
      assert.equal((await login(secret, '000002')).status, 401)
      assert.equal((await login(secret, await codeAt(app))).status, 429, 'each further one costs as much')
      server.clock.now += 300_000
      assert.equal((await login(secret, await codeAt(app))).status, 200)
      next()
      assert.equal((await login(secret, '000003')).status, 401)
      assert.equal((await login(secret, await codeAt(app))).status, 200, 'a right one begins anew')
      const noted = await tables.rows(
        `select seq from changes where object = '${key.id}' and kind = 'login.failed'`,
      )
      assert.equal(noted.length, 7, 'each wrong one is written down')
    })

    it('are not found by trying many at once, nor by way of several instances', async () => {
      const { secret, app } = await enrolled('users:read')
      // The embedded database has one instance.
      const isShared = kind.name === 'PostgreSQL'
      const store = isShared ? await openStore(tables.settings({ instance: 'second' })) : server.store
      const more = await openAdminServer(kind, { wrap: () => store })
      try {
        more.clock.now = server.clock.now
        const from = (each: AdminServer, code: string) =>
          each.send({
            method: 'POST',
            path: '/admin/sessions',
            headers: { authorization: `Bearer ${secret}` },
            body: { code },
          })
        const guesses = Array.from({ length: 40 }, (_, index) =>
          from(index % 2 === 0 ? server : more, String(index).padStart(6, '0')),
        )
        const statuses = (await Promise.all(guesses)).map(({ status }) => status)
        assert.equal(statuses.filter((status) => status === 401).length, 5, 'those that were looked at')
        assert.equal(statuses.filter((status) => status === 429).length, 35)
        server.clock.now += 300_000
        more.clock.now += 300_000
        const code = await codeAt(app)
        const taken = (await Promise.all([from(server, code), from(more, code)])).map(({ status }) => status)
        assert.equal(taken.filter((status) => status === 200).length, 1, String(taken))
      } finally {
        await more.close()
        if (isShared) await store.close()
      }
    })

    it('do not lock out for longer where a clock was ahead', async () => {
      const { secret, app, codes } = await enrolled('users:read')
      const right = server.clock.now
      server.clock.now += 86_400_000
      assert.equal((await login(secret, await codeAt(app))).status, 200)
      next()
      for (let round = 0; round < 5; round++) await login(secret, '000000')
      server.clock.now = right
      assert.equal((await login(secret, await codeAt(app))).status, 401, 'no code of the past is taken')
      server.clock.now += 300_000
      assert.equal((await login(secret, codes[0])).status, 200)
      server.clock.now += 60_000
      assert.equal((await login(secret, await codeAt(app))).status, 200, 'a recovery code sets it right')
    })

    it('end a session that was opened without a code, also where its login was under way', async () => {
      const { key, secret } = await enrolled('users:read')
      const { now } = server.clock
      const open = (isCoded: boolean) =>
        server.store.sessions.insertSession(
          {
            ...{ secret: `tgs-${isCoded}`, keyId: key.id, openedBy: secret, address: '::1', isCoded },
            ...{ expiresAt: now + 60_000, idleUntil: now + 60_000 },
          },
          by(now),
        )
      await open(false)
      await open(true)
      assert.equal(await server.store.sessions.findSession('tgs-false', now), undefined)
      assert.equal((await server.store.sessions.findSession('tgs-true', now))?.key.id, key.id)
    })

    it('are confirmed by a code of the secret that they were begun with last', async () => {
      const { key } = await make('users:read')
      const { secondFactors } = server.store
      const begin = (secret: string) =>
        secondFactors.beginSecondFactor(key.id, { secret, recoveryCodes: [] }, by(server.clock.now))
      const confirm = (secret: string) =>
        secondFactors.confirmSecondFactor(
          key.id,
          { secret, step: 1, sessionId: undefined },
          by(server.clock.now),
        )
      await begin('FIRST')
      await begin('SECOND')
      assert.equal(await confirm('FIRST'), false)
      assert.equal(await confirm('SECOND'), true)
      assert.equal(await confirm('SECOND'), false)
    })

    it('are set up by their own key, and removed by it or by those that look after keys', async () => {
      const one = await enrolled('users:read')
      const [same, keeper, less] = [
        await make('users:read'),
        await make('keys:write', 'users:read'),
        await make('keys:write'),
      ]
      const fresh = await make('users:read')
      for (const other of [same, keeper, { secret: adminSecret }])
        for (const more of ['', '/confirm'])
          assert.equal(
            (
              await as(
                other.secret,
                'POST',
                `/admin/keys/${fresh.key.id}/second-factor${more}`,
                more ? { code: '1' } : {},
              )
            ).status,
            404,
          )
      const remove = (secret: string) => as(secret, 'POST', `${one.path}/remove`, {})
      assert.equal((await remove(same.secret)).status, 404)
      assert.equal((await remove(less.secret)).status, 403)
      assert.equal((await remove(one.secret)).status, 401, 'not by the key alone')
      assert.equal((await remove(keeper.secret)).status, 200)
      assert.equal((await remove(keeper.secret)).status, 404)
      assert.equal((await as(one.secret, 'GET', '/admin/users?limit=1')).status, 200)
      const two = await enrolled('users:read')
      const headers = {
        authorization: undefined,
        cookie: cookieOf(await login(two.secret, await codeAt(two.app))),
        'sec-fetch-site': 'same-origin',
      }
      assert.equal((await server.send({ method: 'POST', path: two.path, headers, body: {} })).status, 409)
      next()
      const taken = async (code?: string) => {
        const path = `${two.path}/remove`
        const said = await server.send({
          method: 'POST',
          path,
          headers,
          body: code === undefined ? {} : { code },
        })
        return said.status === 200 ? 200 : JSON.parse(said.text).code
      }
      assert.equal(await taken(), 'code_needed', 'a session that was left open does not remove it')
      assert.equal(await taken('000000'), 'wrong_code')
      assert.equal(await taken(await codeAt(two.app)), 200)
    })

    it('are not for keys that other gateways use, stay through a rotation, and go with the key', async () => {
      const { key, secret } = await make('admin', 'verifier')
      assert.equal((await as(secret, 'POST', `/admin/keys/${key.id}/second-factor`)).status, 409)
      const one = await enrolled('users:read')
      const rotated = await as(adminSecret, 'POST', `/admin/keys/${one.key.id}/rotate`)
      assert.equal((await login(rotated.json.key)).json.code, 'code_needed')
      assert.equal((await login(rotated.json.key, await codeAt(one.app))).status, 200)
      await as(adminSecret, 'DELETE', `/admin/keys/${one.key.id}`)
      assert.equal((await tables.rows(`select id from second_factors where id = '${one.key.id}'`)).length, 0)
    })

    it('are stored encrypted or hashed, shown once, and stand in the trail of changes', async () => {
      const { key, app, codes, uri } = await enrolled('users:read')
      assert.match(uri, new RegExp(`^otpauth://totp/Tollgate:ann\\?secret=${app}&issuer=Tollgate`))
      const stored = JSON.stringify([
        await tables.rows('select * from second_factors'),
        await tables.rows('select * from changes'),
      ])
      for (const each of [app, ...codes]) {
        assert.ok(!stored.includes(each))
        assert.ok(!server.log().includes(each))
      }
      const rows = await tables.rows(`select kind from changes where object = '${key.id}' order by seq`)
      assert.deepEqual(
        rows.map((row) => row.kind),
        ['admin_key.created', 'second_factor.begun', 'second_factor.confirmed'],
      )
    })
  })
}
