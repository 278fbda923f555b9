import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { generate } from 'otplib'
import { type AdminRoute, createAdminRoutes } from '#admin/routes.ts'
import { errorTable } from '#core/errors.ts'
import { builtInFamilies } from '#core/family.ts'
import { type Step, scenarios } from './contract-scenarios.ts'
import { assertCodes } from './support/access-lines.ts'
import { loadContract } from './support/admin-contract.ts'
import { absent, anything, mismatches } from './support/admin-matching.ts'
import {
  type AdminServer,
  openAdminServer,
  type Received,
  type SentRequest,
  startAt,
  verifierSecret,
} from './support/admin-server.ts'
import { close, newUserId, open } from './support/ledger.ts'
import { databases, type TestDatabase } from './support/stores.ts'

const contract = loadContract()
const seen = new Set<string>()
let server: AdminServer
let tables: TestDatabase

/** Where our own code or Node's would show. */
const traces = /\bat .+:\d+:\d+|node:internal|\/src\/|\.ts\b/

/** Sends one step and says everything that is wrong with what came back. */
async function play(step: Step): Promise<void> {
  server.clock.now += step.afterMs ?? 0
  const request = await filled(step.send)
  const before = step.status >= 400 ? await snapshot() : undefined
  const received = await server.send(request)
  const what = `${request.method} ${request.path.slice(0, 80)} -> ${received.status} ${received.text.slice(0, 400)}`
  assert.equal(received.status, step.status, what)
  const body: unknown = received.text === '' ? undefined : JSON.parse(received.text)
  assert.deepEqual(faultsOf(request, received, body), [], what)
  if (step.answer !== undefined) assert.deepEqual(mismatches(body, step.answer), [], what)
  assert.deepEqual(mismatches(received.headers, step.headers ?? {}, 'headers'), [], what)
  if (before !== undefined) assert.equal(await snapshot(), before, `a refusal changed something: ${what}`)
}

/** What every answer has to keep, whatever the step is about. */
function faultsOf(request: SentRequest, { status, headers, text }: Received, body: unknown): string[] {
  const faults = mismatches(
    headers,
    { 'cache-control': 'no-store', 'x-request-id': /^req_[0-9a-z]{24}$/ },
    'headers',
  )
  if (request.method === 'HEAD') return faults
  if (status >= 400)
    faults.push(...mismatches(body, { error: /./, code: /^[a-z_]+$/, requestId: headers['x-request-id'] }))
  if (traces.test(text) && !/application\/json/.test(text)) faults.push('it holds a stack trace')
  const route = routeOf(request.method, request.path)
  if (route) seen.add(`${nameOf(route)} ${status}`)
  const operation = contract.operationOf(request.method, request.path)
  if (operation) {
    seen.add(`${operation} ${status}`)
    faults.push(...contract.faultsOf(operation, status, body))
  }
  return faults
}

const nameOf = ({ method, path }: AdminRoute) => `${method.toUpperCase()} ${path}`

/** Our own route that takes a request. */
const adminRoutes = createAdminRoutes({ families: builtInFamilies, limits: {} })

function routeOf(method: string, path: string): AdminRoute | undefined {
  const [bare = ''] = path.split('?')
  return adminRoutes.find((route) => {
    const pattern = route.path.replaceAll(/\{\w+\}/g, '[^/]+')
    return route.method.toUpperCase() === method && new RegExp(`^${pattern}$`).test(bare)
  })
}

async function filled(send: SentRequest): Promise<SentRequest> {
  const keyName = /\{key:([^}]+)\}/.exec(send.path)?.[1]
  if (keyName !== undefined) {
    const key = (await server.store.adminKeys.listAdminKeys()).find((each) => each.name === keyName)
    assert.ok(key, `the scenario names the key ${keyName}, which is not there`)
    return { ...send, path: send.path.replace(`{key:${keyName}}`, key.id) }
  }
  if (send.path.includes('{run}')) {
    const [run] = await server.store.bulk.listRuns(1)
    assert.ok(run, 'a bulk action has been begun')
    return { ...send, path: send.path.replace('{run}', run.id) }
  }
  const name = /\{id:([^}]+)\}/.exec(send.path)?.[1]
  if (name === undefined) return send
  const user = await server.store.users.findUser({ accessToken: name }, server.clock.now)
  assert.ok(user, `the scenario names ${name}, who is not there`)
  return { ...send, path: send.path.replace(`{id:${name}}`, user.id) }
}

/** Everything that is stored of users and keys, as the store itself says it. */
async function snapshot(): Promise<string> {
  const { users } = await server.store.users.listUsers({ limit: 10_000, now: startAt })
  const keys = await server.store.adminKeys.listAdminKeys()
  const sessions = await server.store.sessions.listSessions(startAt)
  return JSON.stringify([users, keys, sessions], (_name, value) =>
    value instanceof Map ? [...value] : value,
  )
}

for (const database of databases) {
  describe(`the admin API as the contract has it on ${database.name}`, () => {
    before(async () => {
      seen.clear()
      server = await openAdminServer({
        name: database.name,
        async create() {
          tables = await database.create()
          return tables
        },
      })
    })
    after(() => {
      assertCodes(server.log())
      return server.close()
    })

    for (const { name, steps } of scenarios) {
      it(name, async () => {
        server.clock.now = startAt
        for (const step of steps) await play(step)
      })
    }

    it('a contract client can put back what it got, unchanged', async () => {
      const { users } = await server.store.users.listUsers({ limit: 10_000, now: startAt })
      assert.ok(users.length > 20)
      for (const { id } of users) {
        const path = `/admin/users/${id}`
        const got = await server.send({ method: 'GET', path })
        const put = await server.send({ method: 'PUT', path, rawBody: got.text })
        assert.equal(put.status, 200, put.text)
        assert.deepEqual(JSON.parse(put.text), JSON.parse(got.text))
      }
    })

    it('logs a line for each request and no access token, admin key or URL', async () => {
      await server.send({
        method: 'PUT',
        path: '/admin/users/sentinel-4711?x=sentinel-4711',
        body: { nickname: 'n' },
      })
      await new Promise((resolve) => setImmediate(resolve))
      const lines = server
        .log()
        .trim()
        .split('\n')
        .map((line): Record<string, unknown> => JSON.parse(line))
      const line = lines.at(-1)
      assert.deepEqual(
        mismatches(line, {
          level: 'info',
          method: 'PUT',
          route: '/admin/users/{token}',
          status: 200,
          userId: /^usr_/,
          adminKeyId: /^adk_/,
          address: '127.0.0.1',
          requestId: /^req_/,
        }),
        [],
      )
      assert.doesNotMatch(
        server.log(),
        /sentinel-4711|an-admin-key-for-tests|another-admin-key|a-verifier-key|tg[acv]-\w|new-one|"url"|authorization/,
      )
      assert.ok(lines.length > 200)
    })

    it('says of a user whose row is damaged that DELETE without If-Match disables', async () => {
      const path = '/admin/users/damaged-one'
      await play({ send: { method: 'PUT', path, body: {} }, status: 200 })
      const user = await server.store.users.findUser({ accessToken: 'damaged-one' }, server.clock.now)
      assert.ok(user)
      await tables.change(`update users set period = 'fortnightly' where id = '${user.id}'`)
      const answer = { error: /DELETE without If-Match/, code: 'conflict' }
      const headers = { 'if-match': '"1"' }
      await play({ send: { method: 'PUT', path, body: { disabledReason: 'left' } }, status: 409, answer })
      await play({ send: { method: 'DELETE', path, headers }, status: 409, answer })
      const lookup = { method: 'POST', path: '/admin/tokens/lookup', body: { token: 'damaged-one' } }
      await play({ send: lookup, status: 409, answer })
      await play({ send: { method: 'POST', path: `${path}/reveal` }, status: 409, answer })
      for (const [method, more, body] of [
        ['GET', '', undefined],
        ['GET', '/quota', undefined],
        ['GET', '/usage', undefined],
        ['GET', '/front-end', undefined],
        ['PUT', '/front-end', { kind: 'member' }],
        ['DELETE', '/front-end', undefined],
        ['POST', '/quota/reset', {}],
        ['POST', '/quota/add', { family: 'turbo', units: 1 }],
        ['POST', '/claim', {}],
        ['GET', '/claims', undefined],
        ['DELETE', '/claims/clm_none', undefined],
      ] as const)
        await play({ send: { method, path: path + more, body }, status: 409, answer })
      const users = [{ token: 'sound-one' }, { token: 'damaged-one', nickname: 'x' }]
      const named = { ...answer, issues: [{ path: 'users[1]', message: /damaged/ }] }
      await play({
        send: { method: 'PUT', path: '/admin/users', body: { users } },
        status: 409,
        answer: named,
      })
      await play({ send: { method: 'GET', path: '/admin/users/sound-one' }, status: 404 })
      await tables.change(`insert into quotas (user_id, family, period_bonus, used, reserved, open_requests, period_started_at)
        values ('${user.id}', 'turbo', 0, 0, 0, 0, 0)`)
      const resetAll = { method: 'POST', path: '/admin/quota/reset', body: {} } as const
      await play({ send: resetAll, status: 200 })
      const disabled = { token: 'damaged-one', id: user.id, type: 'normal', promptCount: 0 }
      await play({ send: { method: 'DELETE', path }, status: 200, answer: disabled })
      await tables.change(`update users set type = 'unknown' where id = '${user.id}'`)
      // A type that cannot be read is the one member of the contract that is left out: any value would be invented.
      const { status, text } = await server.send({ method: 'DELETE', path })
      assert.deepEqual([status, mismatches(JSON.parse(text), { type: absent, id: user.id })], [200, []])
      await tables.change(
        `update users set period = null, type = 'normal', disabled_at = null, revision = 1 where id = '${user.id}'`,
      )
      await play({ send: { method: 'DELETE', path, headers }, status: 200 })
    })

    it('says of a key whose row is damaged that it can be deleted', async () => {
      const made = await server.send({ method: 'POST', path: '/admin/keys', body: { name: 'torn' } })
      const { id } = JSON.parse(made.text)
      await tables.change(`update admin_keys set allowed_networks = '["x"]' where id = '${id}'`)
      const path = `/admin/keys/${id}`
      await play({
        send: { method: 'POST', path: `${path}/rotate` },
        status: 409,
        answer: { error: /delete/ },
      })
      await play({ send: { method: 'DELETE', path }, status: 200 })
    })

    it('sets up a second factor, asks for its code, and removes it', async () => {
      const made = await server.send({
        method: 'POST',
        path: '/admin/keys',
        body: { name: 'two', scopes: ['usage:read'] },
      })
      const { id, key } = JSON.parse(made.text)
      const path = `/admin/keys/${id}/second-factor`
      const headers = { authorization: `Bearer ${key}` }
      const send = (method: string, more: string, body: unknown, status: number, answer: unknown) =>
        play({
          send: { method, path: path + more, headers, ...(body !== undefined && { body }) },
          status,
          answer,
        })
      await send('POST', '/confirm', { code: '000000' }, 409, { code: 'conflict' })
      await send('POST', '', { code: '1' }, 400, { code: 'bad_request' })
      await send('POST', '/confirm', {}, 400, { code: 'bad_request' })
      await send('POST', '/confirm', { code: 'x'.repeat(65) }, 400, { code: 'bad_request' })
      const begun = await server.send({ method: 'POST', path, headers })
      assert.equal(begun.status, 200)
      await send('POST', '', undefined, 200, {
        secret: /^[A-Z2-7]{32}$/,
        uri: /^otpauth:/,
        recoveryCodes: anything,
      })
      await send('POST', '/confirm', { code: 'wrong' }, 401, { code: 'wrong_code' })
      const again = JSON.parse((await server.send({ method: 'POST', path, headers })).text)
      const code = await generate({ secret: again.secret, epoch: Math.floor(server.clock.now / 1000) })
      await send('POST', '/confirm', { code }, 200, { id })
      await send('POST', '', undefined, 401, { code: 'code_needed' })
      await play({
        send: { method: 'POST', path: '/admin/sessions', headers, body: { code } },
        status: 401,
        answer: { code: 'wrong_code' },
      })
      const remove = (body: unknown, status: number, answer: unknown) =>
        play({ send: { method: 'POST', path: `${path}/remove`, body }, status, answer })
      await remove({ kode: '1' }, 400, { code: 'bad_request' })
      await remove({}, 200, { id })
      await remove({}, 404, { code: 'not_found' })
      for (const more of ['', '/confirm'])
        await play({ send: { method: 'POST', path: path + more, body: more ? { code } : {} }, status: 404 })
      const verifiers = await server.send({
        method: 'POST',
        path: '/admin/keys',
        body: { name: 'v', scopes: ['admin', 'verifier'] },
      })
      const both = JSON.parse(verifiers.text)
      await play({
        send: {
          method: 'POST',
          path: `/admin/keys/${both.id}/second-factor`,
          headers: { authorization: `Bearer ${both.key}` },
        },
        status: 409,
      })
      for (const each of [id, both.id]) await server.send({ method: 'DELETE', path: `/admin/keys/${each}` })
    })

    it('tells of sessions, and ends them', async () => {
      await play({
        send: { method: 'POST', path: '/admin/sessions' },
        status: 200,
        answer: { id: /^ses_/, key: { name: 'admin' }, scopes: ['admin'], isCurrent: true, secret: absent },
        headers: {
          'set-cookie': [
            /^tollgate-session=tgs-[0-9A-Za-z]{40}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
          ],
        },
      })
      await play({ send: { method: 'POST', path: '/admin/sessions', body: { code: 1 } }, status: 400 })
      const [session] = await server.store.sessions.listSessions(server.clock.now)
      assert.ok(session)
      const { id } = session.session
      const path = `/admin/sessions/${id}`
      await play({
        send: { method: 'GET', path: '/admin/sessions' },
        status: 200,
        answer: { sessions: [{ id, isCurrent: false }], count: 1 },
      })
      await play({ send: { method: 'GET', path }, status: 200, answer: { id, isCurrent: false } })
      for (const name of ['current', 'ses_none', '%zz'])
        for (const method of ['GET', 'DELETE'])
          await play({ send: { method, path: `/admin/sessions/${name}` }, status: 404 })
      await play({ send: { method: 'DELETE', path }, status: 200, answer: { id } })
      await play({ send: { method: 'DELETE', path }, status: 404 })
    })

    it('purges a user whose id is named twice, and who runs nothing', async () => {
      const { now } = server.clock
      const userId = await newUserId(server.store, now, { nickname: 'to purge' })
      const purge = (body: unknown, id = userId, more = {}): SentRequest => ({
        ...{ method: 'POST', path: `/admin/users/${id}/purge`, body },
        ...more,
      })
      const other = 'usr_000000000000000000000000'
      const issue = (path: string, message: RegExp) => ({ code: 'bad_request', issues: [{ path, message }] })
      await play({ send: purge({}), status: 400, answer: issue('id', /./) })
      await play({ send: purge({ id: other }), status: 400, answer: issue('id', /the id in the path/) })
      await play({ send: purge({ id: 'x' }, 'x'), status: 400, answer: issue('id', /the id in the path/) })
      await play({ send: purge({ id: userId, sure: 1 }), status: 400, answer: issue('sure', /not a known/) })
      await play({ send: purge({ id: other }, other), status: 404 })
      await play({ send: purge({ id: userId }, `${userId}`, { rawBody: '{' }), status: 400 })
      const headers = { 'content-type': 'text/plain' }
      await play({ send: purge({ id: userId }, userId, { headers }), status: 415 })
      await play({ send: purge({ id: 'x'.repeat(70_000) }), status: 413 })
      for (const [authorization, status] of [
        [undefined, 401],
        [`Bearer ${verifierSecret}`, 403],
      ] as const)
        await play({ send: purge({ id: userId }, userId, { headers: { authorization } }), status })
      const requestId = await open(server.store, { userId, at: now })
      await play({ send: purge({ id: userId }), status: 409, answer: { error: /running/ } })
      await close(server.store, requestId, { userId, at: now })
      const answer = { id: userId, purgedAt: now, complete: true }
      await play({ send: purge({ id: userId }), status: 200, answer })
      await play({ send: { method: 'GET', path: `/admin/users/${userId}` }, status: 404 })
      await play({ send: purge({ id: userId }), status: 200, answer, afterMs: 5 })
      await play({
        send: { method: 'GET', path: `/admin/audit?object=${userId}` },
        status: 200,
        answer: {
          changes: [{ kind: 'user.purged' }, { kind: 'user.created', after: { nickname: '[purged]' } }],
        },
      })
    })

    it('tells of a link that was used or revoked', async () => {
      const path = '/admin/users/with-links'
      await play({ send: { method: 'PUT', path, body: {} }, status: 200 })
      const make = () =>
        server.send({ method: 'POST', path: `${path}/claim`, headers: { host: 'localhost' } })
      const [used, revoked] = [JSON.parse((await make()).text), JSON.parse((await make()).text)]
      const ended = {
        id: revoked.id,
        state: 'revoked',
        revokedAt: server.clock.now,
        usedAt: absent,
        link: absent,
      }
      for (let times = 0; times < 2; times += 1)
        await play({
          send: { method: 'DELETE', path: `${path}/claims/${revoked.id}` },
          status: 200,
          answer: ended,
        })
      await tables.change(`update claims set used_at = 5, revoked_at = null where id = '${used.id}'`)
      const answer = { id: used.id, state: 'used', usedAt: 5 }
      await play({ send: { method: 'DELETE', path: `${path}/claims/${used.id}` }, status: 200, answer })
      const isTyped = database.name === 'PostgreSQL'
      if (!isTyped) await tables.change(`update claims set expires_at = 'soon' where id = '${used.id}'`)
      const count = isTyped ? 2 : 1
      await play({ send: { method: 'GET', path: `${path}/claims` }, status: 200, answer: { count } })
    })

    it('has shown every operation with every status that the contract names', () => {
      assert.deepEqual(
        contract.answers.filter((answer) => !seen.has(answer)),
        [],
      )
    })

    it('has shown every route with every status that our own description names', () => {
      const answers = adminRoutes.flatMap((route) => {
        const statuses = [200, 401, 403, ...route.refusals.map((code) => errorTable[code].status)]
        return [...new Set(statuses)].map((status) => `${nameOf(route)} ${status}`)
      })
      assert.ok(answers.length > 40, `only ${answers.length} answers`)
      assert.deepEqual(
        answers.filter((answer) => !seen.has(answer)),
        [],
      )
    })
  })
}

describe('the contract test itself', () => {
  it('finds what the contract does not allow', () => {
    const user = { token: 'a', type: 'normal', tokenCounts: {}, createdAt: 1 }
    const faults = (body: unknown) => contract.faultsOf('GET /admin/users/{token}', 200, body).length
    assert.equal(faults(user), 0)
    assert.equal(faults({ ...user, type: 'temporary' }), 0)
    assert.equal(faults({ ...user, promptCount: 2 ** 40 }), 0)
    assert.equal(faults({ ...user, type: 'admin' }), 1)
    assert.equal(faults({ ...user, nickname: null }), 1)
    assert.equal(faults({ ...user, createdAt: '2026' }) > 0, true)
    assert.equal(faults({ ...user, tokenLimits: { turbo: 1.5 } }) > 0, true)
    assert.equal(faults({ token: 'a' }), 3)
    assert.equal(contract.faultsOf('GET /admin/users', 200, { users: [], count: 2 ** 40 }).length, 1)
    assert.equal(contract.faultsOf('GET /admin/users/{token}', 404, { error: { message: 'x' } }).length, 1)
  })
})
