import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { StoreUnavailable } from '#storage/store.ts'
import { headerText, identityHeaders } from '#verifier/identity-headers.ts'
import { databases } from '../support/stores.ts'
import {
  adminOnlyKey,
  openVerifierHarness,
  type Said,
  type VerifierHarness,
  verifierKey,
} from '../support/verifier-harness.ts'

const asked = (accessToken: string, more: Record<string, string> = {}) => ({
  'x-tollgate-key': verifierKey,
  authorization: `Bearer ${accessToken}`,
  ...more,
})

/** What the proxy would pass on. */
function identityOf({ headers }: Said): Record<string, string | null> {
  return Object.fromEntries(identityHeaders.map((name) => [name, headers.get(name)]))
}

for (const database of databases) {
  describe(`/auth/verify on ${database.name}`, () => {
    let harness: VerifierHarness
    before(async () => {
      harness = await openVerifierHarness(database)
    })
    after(() => harness.close())

    const verify = (accessToken: string, query = '', more: Record<string, string> = {}, method = 'GET') =>
      harness.send(`/auth/verify${query}`, { method, headers: asked(accessToken, more) })

    it('says who it is, with every identity header in every success', async () => {
      const expiresAt = harness.clock.now + 60_000
      const user = await harness.createUser({
        type: 'temporary',
        nickname: 'Zoë 100%',
        expiresAt,
        quotaLimits: { gpt4: 1000 },
        limits: { period: 'daily' },
      })
      const full = await verify(user.accessToken, '?model=gpt-4o')
      assert.equal(full.status, 200)
      assert.deepEqual(identityOf(full), {
        'X-Tollgate-User': user.id,
        'X-Tollgate-User-Type': 'temporary',
        'X-Tollgate-Nickname': 'Zo%C3%AB 100%25',
        'X-Tollgate-Expires-At': String(expiresAt),
        'X-Tollgate-Family': 'gpt4',
        'X-Tollgate-Limit': '1000',
        'X-Tollgate-Remaining': '1000',
        'X-Tollgate-Reset-At': String(harness.clock.now + 86_400_000),
        'X-Tollgate-Request-Id': full.headers.get('x-request-id'),
      })
      assert.equal(decodeURIComponent('Zo%C3%AB 100%25'), 'Zoë 100%')
      assert.equal(full.text, '')

      const plain = await harness.createUser()
      const bare = await verify(plain.accessToken)
      assert.equal(bare.status, 200)
      assert.deepEqual(identityOf(bare), {
        'X-Tollgate-User': plain.id,
        'X-Tollgate-User-Type': 'normal',
        'X-Tollgate-Nickname': '',
        'X-Tollgate-Expires-At': '',
        'X-Tollgate-Family': '',
        'X-Tollgate-Limit': '',
        'X-Tollgate-Remaining': '',
        'X-Tollgate-Reset-At': '',
        'X-Tollgate-Request-Id': bare.headers.get('x-request-id'),
      })
    })

    it('takes any method, and an access token in x-api-key as well', async () => {
      const { accessToken } = await harness.createUser()
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
        assert.equal((await verify(accessToken, '', {}, method)).status, 200, method)
      const headers = { 'x-tollgate-key': verifierKey, 'x-api-key': accessToken }
      assert.equal((await harness.send('/auth/verify', { headers })).status, 200)
    })

    it('writes what is not plain ASCII so that it can be read back', () => {
      for (const text of ['plain, text', 'Zoë', '100%', '日本', '%41', 'tab\tnew\nline', '😀'])
        assert.equal(decodeURIComponent(headerText(text)), text)
      for (const text of ['Zoë', 'a\r\nX-Tollgate-User: root', '\ud800'])
        assert.match(headerText(text), /^[\x20-\x7e]*$/)
    })

    describe('refuses', () => {
      type Case = readonly [
        code: string,
        status: number,
        make: () => Promise<{ accessToken: string; query?: string; headers?: Record<string, string> }>,
      ]
      const cases: readonly Case[] = [
        ['unknown_access_token', 401, async () => ({ accessToken: 'nobody-has-this' })],
        [
          'user_disabled',
          403,
          async () => harness.createUser({ disabledAt: harness.clock.now, disabledReason: 'Left' }),
        ],
        [
          'user_expired',
          403,
          async () => harness.createUser({ type: 'temporary', expiresAt: harness.clock.now - 1 }),
        ],
        [
          'address_not_allowed',
          403,
          async () => ({
            ...(await harness.createUser({ limits: { allowedNetworks: ['192.0.2.0/24'] } })),
            headers: { 'x-forwarded-for': '198.51.100.7' },
          }),
        ],
        [
          'address_limit',
          403,
          async () => {
            const user = await harness.createUser({ limits: { maxIps: 1 } })
            const first = await verify(user.accessToken, '', { 'x-forwarded-for': '192.0.2.1' })
            assert.equal(first.status, 200)
            return { ...user, headers: { 'x-forwarded-for': '192.0.2.2' } }
          },
        ],
        [
          'model_not_allowed',
          404,
          async () => ({
            ...(await harness.createUser({ limits: { allowedModels: ['claude'] } })),
            query: '?model=gpt-4o',
          }),
        ],
        ['model_not_served', 404, async () => ({ ...(await harness.createUser()), query: '?model=llama-3' })],
        ['bad_request', 400, async () => ({ ...(await harness.createUser()), query: '?family=gpt5' })],
        ['rate_limited', 429, async () => harness.createUser({ limits: { requestsPerMinute: 0 } })],
        ['concurrency_limited', 429, async () => harness.createUser({ limits: { concurrentRequests: 0 } })],
        [
          'quota_exceeded',
          429,
          async () => ({
            ...(await harness.createUser({ quotaLimits: { gpt4: 0 } })),
            query: '?family=gpt4',
          }),
        ],
      ]
      for (const [code, status, make] of cases) {
        it(`${code} with ${status}, and with ?deny=403 with ${status === 401 ? 401 : 403}`, async () => {
          const { accessToken, query = '', headers = {} } = await make()
          const said = await verify(accessToken, query, headers)
          const flat = await verify(accessToken, `${query === '' ? '?' : `${query}&`}deny=403`, headers)
          assert.deepEqual([said.status, flat.status], [status, status === 401 ? 401 : 403])
          for (const answer of [said, flat]) {
            assert.equal(answer.json.code, code)
            assert.equal(typeof answer.json.error, 'string')
            assert.equal(answer.headers.get('x-tollgate-code'), code)
            assert.equal(answer.headers.get('x-tollgate-status'), String(status))
            assert.equal(answer.headers.get('x-tollgate-user'), null)
          }
        })
      }

      it('who shows no access token, without asking anybody', async () => {
        const said = await harness.send('/auth/verify', { headers: { 'x-tollgate-key': verifierKey } })
        assert.equal(said.status, 401)
        assert.equal(said.headers.get('x-tollgate-code'), 'missing_credential')
        assert.match(said.headers.get('www-authenticate') ?? '', /Bearer/)
      })
    })

    it('counts towards the rate, and says when to come back', async () => {
      const { accessToken } = await harness.createUser({ limits: { requestsPerMinute: 2 } })
      const statuses = []
      for (let round = 0; round < 3; round += 1) statuses.push((await verify(accessToken)).status)
      assert.deepEqual(statuses, [200, 200, 429])
      const refused = await verify(accessToken)
      assert.equal(refused.headers.get('retry-after'), '30')
      assert.equal(refused.json.limit.name, 'requestsPerMinute')
      harness.clock.now += 30_000
      assert.equal((await verify(accessToken)).status, 200)
    })

    it('reserves nothing', async () => {
      const user = await harness.createUser({ quotaLimits: { gpt4: 10 } })
      for (let round = 0; round < 5; round += 1)
        assert.equal(
          (await verify(user.accessToken, '?family=gpt4')).headers.get('x-tollgate-remaining'),
          '10',
        )
      const { quotas } = await harness.userOf(user)
      assert.equal(quotas.get('gpt4')?.reserved ?? 0, 0)
      assert.deepEqual(await harness.database.rows(`select id from entries where user_id = '${user.id}'`), [])
    })

    it("takes the model from the proxy's headers where the path behind ours is the client's", async () => {
      const { accessToken } = await harness.createUser({ limits: { allowedModels: ['claude'] } })
      const path = '/v1/messages?model=claude-x&family=claude&deny=403'
      assert.equal((await verify(accessToken, path)).headers.get('x-tollgate-family'), '')
      const said = await verify(accessToken, path, { 'x-tollgate-model': 'gpt-4o' })
      assert.deepEqual([said.status, said.json.code], [404, 'model_not_allowed'])
      const unserved = await verify(accessToken, path, { 'x-tollgate-model': 'llama' })
      assert.equal(unserved.status, 404, "deny=403 was the client's too")
      const own = await verify(accessToken, '?model=claude-x', { 'x-tollgate-model': 'gpt-4o' })
      assert.equal(own.headers.get('x-tollgate-family'), 'claude', "the proxy's own query says more")
    })

    it('throttles who guesses, by the client and not by the proxy', async () => {
      const { accessToken } = await harness.createUser()
      const from = { 'x-forwarded-for': '203.0.113.9' }
      const guess = (round: number) => verify(`guess-${round}`, '', from)
      for (let round = 0; round < 11; round += 1) assert.equal((await guess(round)).status, 401)
      const blocked = await guess(11)
      assert.deepEqual([blocked.status, blocked.json.code], [429, 'throttled'])
      assert.equal((await verify(accessToken, '', from)).status, 200)
      assert.equal((await verify(accessToken, '', { 'x-forwarded-for': '203.0.113.10' })).status, 200)
      // A proxy that says nobody's address may bring guesses of many; it is not shut out for them.
      for (let round = 0; round < 15; round += 1) assert.equal((await verify(`guess-${round}`)).status, 401)
      assert.equal((await verify(accessToken)).status, 200)
    })

    it('answers a proxy whose own key is wrong with 403, never as if its client were', async () => {
      const { accessToken } = await harness.createUser()
      const keys: readonly (readonly [string | undefined, string])[] = [
        [undefined, 'missing_credential'],
        ['', 'missing_credential'],
        ['tgv-not-this-one', 'unknown_admin_key'],
        [adminOnlyKey, 'forbidden'],
      ]
      for (const [key, code] of keys) {
        const headers = {
          authorization: `Bearer ${accessToken}`,
          ...(key !== undefined && { 'x-tollgate-key': key }),
        }
        const said = await harness.send('/auth/verify', { headers })
        assert.deepEqual([said.status, said.headers.get('x-tollgate-code')], [403, code])
        assert.equal(said.headers.get('x-tollgate-status'), '403')
        assert.match(harness.log(), new RegExp(`"level":"warn".*"code":"${code}".*a gateway was refused`))
      }
      const asUser = await harness.send('/auth/verify', {
        headers: { 'x-tollgate-key': accessToken, authorization: `Bearer ${verifierKey}` },
      })
      assert.equal(asUser.status, 403, 'an access token opens nothing here')
    })
  })
}

for (const database of databases) {
  describe(`/auth/verify while the store is away on ${database.name}`, () => {
    it('says 503, and with ?deny=403 403: never that the access token is wrong', async () => {
      let isAway = true
      const harness = await openVerifierHarness(database, {
        wrapLedger: (ledger) => ({
          ...ledger,
          admit: (ask) => (isAway ? Promise.reject(new StoreUnavailable('gone')) : ledger.admit(ask)),
        }),
      })
      try {
        const { accessToken } = await harness.createUser()
        const said = await harness.send('/auth/verify', { headers: asked(accessToken) })
        assert.deepEqual([said.status, said.json.code], [503, 'store_unavailable'])
        assert.equal(said.headers.get('retry-after'), '1')
        const flat = await harness.send('/auth/verify?deny=403', { headers: asked(accessToken) })
        assert.deepEqual([flat.status, flat.headers.get('x-tollgate-status')], [403, '503'])
        isAway = false
        assert.equal((await harness.send('/auth/verify', { headers: asked(accessToken) })).status, 200)
      } finally {
        await harness.close()
      }
    })

    it('says the same when the key cannot be looked up', async () => {
      const harness = await openVerifierHarness(database, {
        wrapKeys: (keys) => ({ ...keys, findAdminKey: () => Promise.reject(new StoreUnavailable('gone')) }),
      })
      try {
        const said = await harness.send('/auth/verify', { headers: asked('any') })
        assert.equal(said.status, 503)
      } finally {
        await harness.close()
      }
    })
  })
}

for (const database of databases) {
  describe(`/auth/verify behind a proxy that nobody trusts on ${database.name}`, () => {
    it('sees the proxy, whatever it says of its client', async () => {
      const harness = await openVerifierHarness(database, { trustedProxies: [] })
      try {
        const { accessToken } = await harness.createUser({ limits: { allowedNetworks: ['192.0.2.0/24'] } })
        const headers = asked(accessToken, { 'x-forwarded-for': '192.0.2.1' })
        const said = await harness.send('/auth/verify', { headers })
        assert.equal(said.json.code, 'address_not_allowed')
        assert.match(said.json.error, /127\.0\.0\.1/)
      } finally {
        await harness.close()
      }
    })
  })
}
