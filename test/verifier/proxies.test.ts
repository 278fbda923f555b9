import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { identityHeaders } from '#verifier/identity-headers.ts'
import { type Answer, call } from '../support/gateway-client.ts'
import { closedOrigin, openScripted, type Scripted } from '../support/gateway-scripted.ts'
import { type ProxyKind, proxyKinds, type RunningProxy, startProxy } from '../support/proxies.ts'
import { anyDatabase } from '../support/stores.ts'
import { openVerifierHarness, type VerifierHarness, verifierKey } from '../support/verifier-harness.ts'

/**
 * The real proxies in front of a plain web server, with the files that stand in `deploy/`. The web server says what
 * it got: who may pass must arrive as whom Tollgate says, and nothing that a client makes up may arrive at all. What is stored is nothing to a proxy, so one database is enough; what the verifier answers on
 * each of them stands beside this file.
 */
let harness: VerifierHarness
let application: Scripted
let folder: string
/** Ends the answer of `/stream`, whose first half is out already. */
let finish: () => void = () => {}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-proxies-'))
  harness = await openVerifierHarness(anyDatabase)
  application = await openScripted((request, response) => {
    if (request.url === '/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      finish = () => response.end('data: 2\n\n')
      return
    }
    const status = request.url === '/forbidden' ? 403 : 200
    response.writeHead(status, { 'content-type': 'text/plain', 'x-application': 'yes' })
    response.end(`application: ${request.method} ${request.url} ${request.body.length}`)
  })
})
after(async () => {
  await harness.close()
  await application.close()
  rmSync(folder, { recursive: true, force: true })
})

const hostOf = (origin: string) => new URL(origin).host
const bearer = (accessToken: string) => ({ authorization: `Bearer ${accessToken}` })

function start(kind: ProxyKind, more: { key?: string; tollgate?: string; family?: string } = {}) {
  const { key = verifierKey, tollgate = hostOf(harness.origin), family } = more
  const places = { folder, key, tollgate, application: hostOf(application.origin) }
  return startProxy(kind, { ...places, ...(family !== undefined && { family }) })
}

async function withProxy(
  kind: ProxyKind,
  more: Parameters<typeof start>[1],
  run: (proxy: RunningProxy) => Promise<void>,
): Promise<void> {
  const proxy = await start(kind, more)
  try {
    await run(proxy)
  } finally {
    await proxy.stop()
  }
}

/** Sends through the proxy; answers with what the server behind got, where it got anything. */
async function pass(
  proxy: RunningProxy,
  headers: Record<string, string>,
  more: Partial<Parameters<typeof call>[1]> = {},
) {
  const before = application.requests.length
  const answer = await call(proxy.port, { method: 'GET', path: '/things', headers, ...more })
  return { answer, arrived: application.requests[before] }
}

function assertRefused({ answer, arrived }: { answer: Answer; arrived: unknown }, status: number): void {
  assert.deepEqual([answer.status, arrived], [status, undefined], answer.text)
}

for (const kind of proxyKinds) {
  describe(`${kind.name} with deploy/${kind.file}`, () => {
    let proxy: RunningProxy
    before(async () => {
      proxy = await start(kind)
    })
    after(() => proxy.stop())

    it('lets in who may, and tells the server behind who it is', async () => {
      const expiresAt = harness.clock.now + 60_000
      const user = await harness.createUser({ type: 'temporary', nickname: 'Zoë', expiresAt })
      for (const headers of [bearer(user.accessToken), { 'x-api-key': user.accessToken }]) {
        const { answer, arrived } = await pass(proxy, headers)
        assert.deepEqual([answer.status, answer.text], [200, 'application: GET /things 0'])
        const got = arrived?.headers ?? {}
        assert.partialDeepStrictEqual(got, {
          'x-tollgate-user': user.id,
          'x-tollgate-user-type': 'temporary',
          'x-tollgate-nickname': 'Zo%C3%AB',
          'x-tollgate-expires-at': String(expiresAt),
        })
        assert.match(String(got['x-tollgate-request-id']), /^req_/)
        assert.equal(got['x-forwarded-for'], '127.0.0.1')
      }
    })

    it('tells it what is left of a quota, where a family is held, and refuses when it is used up', () =>
      withProxy(kind, { family: 'turbo' }, async (held) => {
        const user = await harness.createUser({ quotaLimits: { turbo: 10 } })
        const { arrived } = await pass(held, bearer(user.accessToken))
        assert.partialDeepStrictEqual(arrived?.headers, {
          'x-tollgate-family': 'turbo',
          'x-tollgate-limit': '10',
          'x-tollgate-remaining': '10',
        })
        await harness.post('/usage', { id: `${kind.name}-1`, userId: user.id, family: 'turbo', units: 10 })
        const refused = await pass(held, bearer(user.accessToken))
        assertRefused(refused, 429)
        assert.equal(JSON.parse(refused.answer.text).code, 'quota_exceeded')
      }))

    it('passes nothing on that a client says in our name', async () => {
      const { accessToken, id } = await harness.createUser()
      const names = [...identityHeaders, 'X-Tollgate-Key', 'X-Tollgate-Model']
      const unknown = ['X-Tollgate-Admin']
      const forged = (name: string) => [
        [name, 'forged'],
        [name.replaceAll('-', '_'), 'forged'],
        [name.replace('X-', 'X_'), 'forged'],
        [name.toLowerCase(), 'forged'],
      ]
      const all = kind.removesUnknown ? [...names, ...unknown] : names
      const headers = Object.fromEntries(all.flatMap(forged))
      const { answer, arrived } = await pass(proxy, { ...headers, ...bearer(accessToken) })
      assert.equal(answer.status, 200, answer.text)
      assert.ok(!JSON.stringify(arrived?.rawHeaders).includes('forged'), JSON.stringify(arrived?.rawHeaders))
      assert.equal(arrived?.headers['x-tollgate-user'], id)
      for (const name of ['nickname', 'expires-at', 'limit', 'remaining', 'family'])
        assert.equal(arrived?.headers[`x-tollgate-${name}`] ?? '', '', `${name} has nothing to say`)
    })

    it('lets no client take our headers away by naming them hop-by-hop', async () => {
      const { accessToken, id } = await harness.createUser()
      const connection = 'close, X-Tollgate-User, X-Tollgate-Key, X-Forwarded-For, X-Tollgate-Request-Id'
      const { answer, arrived } = await pass(proxy, { connection, ...bearer(accessToken) })
      assert.equal(answer.status, 200, answer.text)
      assert.equal(arrived?.headers['x-tollgate-user'], id)
      assert.equal(arrived?.headers['x-forwarded-for'], '127.0.0.1')
    })

    it('keeps the access token and its own key to itself', async () => {
      const { accessToken } = await harness.createUser()
      const { arrived } = await pass(proxy, { ...bearer(accessToken), 'x-api-key': accessToken })
      const got = JSON.stringify(arrived)
      assert.ok(arrived && !got.includes(accessToken) && !got.includes(verifierKey), got)
      assert.deepEqual(
        Object.keys(arrived.headers).filter((name) => /authorization|api-key|tollgate-key/.test(name)),
        [],
      )
    })

    it('refuses who may not, with the status and the reason', async () => {
      const disabled = await harness.createUser({ disabledAt: harness.clock.now })
      const limited = await harness.createUser({ limits: { requestsPerMinute: 1 } })
      assert.equal((await pass(proxy, bearer(limited.accessToken))).answer.status, 200)
      const cases: readonly (readonly [Record<string, string>, number, string])[] = [
        [{}, 401, 'missing_credential'],
        [bearer('nobody-has-this'), 401, 'unknown_access_token'],
        [bearer(disabled.accessToken), 403, 'user_disabled'],
        [bearer(limited.accessToken), 429, 'rate_limited'],
      ]
      for (const [headers, status, code] of cases) {
        const refused = await pass(proxy, headers)
        assertRefused(refused, status)
        assert.match(String(refused.answer.headers['content-type']), /^application\/json/)
        assert.equal(JSON.parse(refused.answer.text).code, code)
        assert.equal(refused.answer.headers['retry-after'], status === 429 ? '60' : undefined)
        if (status === 401) assert.match(String(refused.answer.headers['www-authenticate']), /Bearer/)
      }
    })

    it("takes the client's address from the connection, not from the client", async () => {
      const make = (network: string) => harness.createUser({ limits: { allowedNetworks: [network] } })
      const here = await make('127.0.0.0/8')
      const elsewhere = await make('203.0.113.0/24')
      const forged = { 'x-forwarded-for': '203.0.113.7' }
      assert.equal((await pass(proxy, { ...forged, ...bearer(here.accessToken) })).answer.status, 200)
      assertRefused(await pass(proxy, { ...forged, ...bearer(elsewhere.accessToken) }), 403)
    })

    it('passes methods, bodies and answers through as they are', async () => {
      const { accessToken } = await harness.createUser()
      const body = Buffer.alloc(300_000, 'x')
      const path = '/a/b%20c?deny=0&family=turbo&model=none'
      const { answer } = await pass(proxy, bearer(accessToken), { method: 'PUT', path, body })
      assert.deepEqual([answer.status, answer.text], [200, `application: PUT ${path} 300000`])
      assert.equal(answer.headers['x-application'], 'yes')
      const own = await pass(proxy, bearer(accessToken), { path: '/forbidden' })
      assert.deepEqual([own.answer.status, own.answer.text], [403, 'application: GET /forbidden 0'])
    })

    it('passes a stream on as it comes', async () => {
      const { accessToken } = await harness.createUser()
      const answer = await fetch(`http://127.0.0.1:${proxy.port}/stream`, { headers: bearer(accessToken) })
      const reader = answer.body?.getReader() ?? assert.fail()
      const next = async () => Buffer.from((await reader.read()).value ?? []).toString()
      assert.equal(await next(), 'data: 1\n\n', 'before there is more')
      finish()
      assert.equal(await next(), 'data: 2\n\n')
    })

    it('shows nobody the door to Tollgate behind it', async () => {
      const { accessToken } = await harness.createUser()
      for (const path of ['/.tollgate', '/auth/verify']) {
        const { answer, arrived } = await pass(proxy, bearer(accessToken), { path })
        assert.ok(arrived || answer.status === 404, `${path}: ${answer.status}`)
      }
    })

    it('lets nobody in with a wrong key of its own, and blames no access token', () =>
      withProxy(kind, { key: 'tgv-wrong' }, async (wrong) => {
        const { accessToken } = await harness.createUser()
        assertRefused(await pass(wrong, bearer(accessToken)), 403)
        const forged = { 'x-tollgate-key': verifierKey, ...bearer(accessToken) }
        assertRefused(await pass(wrong, forged), 403)
      }))

    it('lets nobody in while Tollgate is away', async () => {
      const tollgate = hostOf(await closedOrigin())
      await withProxy(kind, { tollgate }, async (alone) => {
        const { accessToken } = await harness.createUser()
        const { answer, arrived } = await pass(alone, bearer(accessToken))
        assert.equal(arrived, undefined)
        assert.ok(answer.status >= 500, `${answer.status}`)
      })
    })
  })
}

describe('the files in deploy/', () => {
  const textOf = (file: string) => readFileSync(join(import.meta.dirname, '..', '..', 'deploy', file), 'utf8')

  for (const file of ['nginx.conf', 'Caddyfile', 'haproxy-auth.lua', 'traefik.yml', 'envoy.yaml']) {
    it(`${file} names every identity header`, () => {
      const text = textOf(file).toLowerCase()
      const missing = identityHeaders.filter(
        (name) => !new RegExp(`${name.toLowerCase()}(?![\\w-])`).test(text),
      )
      assert.deepEqual(missing, [])
    })
  }

  it('those that nobody runs say so', () => {
    for (const file of ['traefik.yml', 'envoy.yaml']) assert.match(textOf(file), /NOT TESTED/)
    for (const { file } of proxyKinds) assert.doesNotMatch(textOf(file), /NOT TESTED/)
  })
})
