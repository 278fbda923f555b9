import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { databases } from '../support/stores.ts'
import {
  adminOnlyKey,
  openVerifierHarness,
  type VerifierHarness,
  verifierKey,
} from '../support/verifier-harness.ts'

let harness: VerifierHarness
for (const database of databases) {
  describe(`what a gateway asks on ${database.name}`, () => {
    before(async () => {
      harness = await openVerifierHarness(database)
    })
    after(() => harness.close())

    describe('POST /auth/check', () => {
      const check = async (body: unknown) => {
        const said = await harness.post('/auth/check', body)
        assert.equal(said.status, 200, said.text)
        return said.json
      }

      it('says who it is and how the quota stands, by access token or by id', async () => {
        const user = await harness.createUser({
          nickname: 'Ann',
          quotaLimits: { gpt4: 100 },
          limits: { requestsPerMinute: 60 },
        })
        const expected = {
          valid: true,
          code: 'ok',
          message: 'It may be used.',
          user: { id: user.id, type: 'normal', nickname: 'Ann' },
          quota: { family: 'gpt4', used: 0, reserved: 0, limit: 100, remaining: 100 },
          rate: { limit: 60, remaining: 59, resetAt: harness.clock.now + 1000 },
        }
        for (const who of [{ token: user.accessToken }, { userId: user.id }])
          for (const what of [{ model: 'gpt-4o' }, { family: 'gpt4' }, { model: 'gpt-4o', units: 100 }])
            assert.deepEqual(await check({ ...who, ...what, unheardOf: true }), expected)
        assert.deepEqual(await check({ token: user.accessToken }), {
          valid: true,
          code: 'ok',
          message: 'It may be used.',
          user: expected.user,
          rate: expected.rate,
        })
      })

      it('says why not, with which limit and until when', async () => {
        const user = await harness.createUser({ quotaLimits: { gpt4: 100 }, limits: { period: 'daily' } })
        const resetAt = harness.clock.now + 86_400_000
        const said = await check({ token: user.accessToken, model: 'gpt-4o', units: 101 })
        const { message, ...rest } = said
        assert.match(message, /quota/)
        assert.deepEqual(rest, {
          valid: false,
          code: 'quota_exceeded',
          user: { id: user.id, type: 'normal' },
          quota: { family: 'gpt4', used: 0, reserved: 0, limit: 100, remaining: 100, resetAt },
          limit: { name: 'quota', family: 'gpt4', limit: 100, used: 0, reserved: 0, needed: 101 },
        })
        assert.deepEqual(await check({ token: 'nobody-has-this' }), {
          valid: false,
          code: 'unknown_access_token',
          message: 'This access token is not known.',
        })
        const { accessToken: token } = await harness.createUser({
          disabledAt: harness.clock.now,
          limits: { allowedNetworks: ['192.0.2.0/24'] },
        })
        assert.equal((await check({ token })).code, 'user_disabled')
        const bound = await harness.createUser({ limits: { allowedNetworks: ['192.0.2.0/24'] } })
        const from = (address?: string) => check({ token: bound.accessToken, address })
        assert.equal((await from('::ffff:192.0.2.7')).code, 'ok')
        assert.equal((await from('198.51.100.1')).code, 'address_not_allowed')
        assert.equal((await from()).code, 'ok', 'nobody said where it comes from')
        assert.equal((await check({ token: bound.accessToken, model: 'llama' })).code, 'model_not_served')
      })

      it('changes nothing: no rate, no address, no reservation', async () => {
        const user = await harness.createUser({
          quotaLimits: { gpt4: 100 },
          limits: { requestsPerMinute: 2, maxIps: 1, ipLimitAction: 'disable' },
        })
        for (let round = 0; round < 5; round += 1) {
          const body = { token: user.accessToken, model: 'gpt-4o', units: 100, address: `192.0.2.${round}` }
          assert.equal((await check(body)).code, 'ok')
        }
        const after = await harness.userOf(user)
        assert.deepEqual(
          [after.addresses, after.quotas.get('gpt4')?.reserved, after.disabledAt],
          [[], 0, undefined],
        )
      })

      it('throttles guesses at the address that they are said to come from', async () => {
        const guess = (token: string) => check({ token, address: '203.0.113.77' })
        for (let round = 0; round < 40; round += 1)
          assert.equal((await guess('stale')).code, 'unknown_access_token')
        for (let round = 0; round < 10; round += 1)
          assert.equal((await guess(`guess-${round}`)).code, 'unknown_access_token')
        const blocked = await guess('another')
        assert.deepEqual([blocked.valid, blocked.code], [false, 'throttled'])
        assert.equal(blocked.retryAt, harness.clock.now + 1000)
        const { accessToken, id: userId } = await harness.createUser()
        assert.equal((await guess(accessToken)).code, 'ok', 'what cannot be guessed is looked up')
        assert.equal((await check({ userId, address: '203.0.113.77' })).code, 'ok', 'an id is no guess')
      })

      it('refuses what it cannot read, and says where it is wrong', async () => {
        const { accessToken: token, id: userId } = await harness.createUser()
        const wrong: readonly (readonly [unknown, string])[] = [
          [{}, 'token'],
          [{ token, userId }, 'token'],
          [{ token: 5 }, 'token'],
          [{ token: '' }, 'token'],
          [{ userId: token }, 'userId'],
          [{ token, family: 'gpt5' }, 'family'],
          [{ token, model: '' }, 'model'],
          [{ token, units: 1 }, 'model'],
          [{ token, model: 'gpt-4o', units: -1 }, 'units'],
          [{ token, model: 'gpt-4o', units: 1.5 }, 'units'],
          [{ token, model: 'gpt-4o', units: 2 ** 53 - 1 }, 'units'],
          [{ token, address: 'here' }, 'address'],
          [[], ''],
          ['null', ''],
        ]
        for (const [body, path] of wrong) {
          const said = await harness.post('/auth/check', body)
          assert.deepEqual([said.status, said.json.code], [400, 'bad_request'], JSON.stringify(body))
          assert.equal(said.json.issues[0].path, path)
          assert.ok(!said.text.includes(token), 'and does not say it back')
        }
        const broken = await harness.post('/auth/check', `{"token":"${token}`)
        assert.deepEqual([broken.status, broken.json.code], [400, 'bad_json'])
        assert.ok(!broken.text.includes(token))
      })
    })

    describe('POST /auth/introspect', () => {
      const introspect = (form: string | Record<string, string>, headers: Record<string, string> = {}) =>
        harness.send('/auth/introspect', {
          method: 'POST',
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            authorization: `Bearer ${verifierKey}`,
            ...headers,
          },
          body: new URLSearchParams(form).toString(),
        })

      it('answers as RFC 7662 has it', async () => {
        const expiresAt = harness.clock.now + 90_500
        const user = await harness.createUser({ type: 'temporary', nickname: 'Zoë', expiresAt })
        const said = await introspect({ token: user.accessToken, token_type_hint: 'access_token' })
        assert.equal(said.status, 200)
        assert.match(said.headers.get('content-type') ?? '', /^application\/json/)
        assert.equal(said.headers.get('cache-control'), 'no-store')
        assert.deepEqual(said.json, {
          active: true,
          sub: user.id,
          username: 'Zoë',
          scope: 'llm',
          token_type: 'Bearer',
          exp: Math.floor(expiresAt / 1000),
          user_type: 'temporary',
        })
      })

      it('never says why an access token is not active', async () => {
        const { now } = harness.clock
        const blocked = [
          'nobody-has-this',
          verifierKey,
          (await harness.createUser({ disabledAt: now, disabledReason: 'Left' })).accessToken,
          (await harness.createUser({ type: 'temporary', expiresAt: now })).accessToken,
        ]
        for (const token of blocked) assert.equal((await introspect({ token })).text, '{"active":false}')
      })

      it('knows no address and counts nothing', async () => {
        const user = await harness.createUser({
          limits: { allowedNetworks: ['192.0.2.0/24'], requestsPerMinute: 1 },
        })
        for (let round = 0; round < 3; round += 1)
          assert.equal((await introspect({ token: user.accessToken })).json.active, true)
      })

      it('takes the key as HTTP Basic too, as clients of it send theirs', async () => {
        const { accessToken: token } = await harness.createUser()
        const basic = (key: string) => ({ authorization: `Basic ${btoa(`resource-server:${key}`)}` })
        assert.equal((await introspect({ token }, basic(verifierKey))).json.active, true)
        assert.equal((await introspect({ token }, basic('wrong'))).status, 401)
        assert.equal((await introspect({ token }, { authorization: 'Basic !' })).status, 401)
        const elsewhere = await harness.post('/auth/check', { token }, basic(verifierKey))
        assert.equal(elsewhere.json.code, 'missing_credential', 'only here')
      })

      it('takes a form with one token, and nothing else', async () => {
        for (const form of ['', 'token=', 'token=a&token=b', 'other=a']) {
          const said = await introspect(form)
          assert.deepEqual([said.status, said.json.issues[0].path], [400, 'token'], form)
        }
        const json = await harness.post('/auth/introspect', { token: 'x' })
        assert.deepEqual([json.status, json.json.code], [415, 'unsupported_media_type'])
      })
    })

    describe('the key of a gateway', () => {
      const body = { token: 'x' }
      const with_ = (headers: Record<string, string>) => harness.post('/auth/check', body, headers)

      it('is asked for before anything else', async () => {
        const said = await harness.send('/auth/check', { method: 'POST', body: '{' })
        assert.deepEqual([said.status, said.json.code], [401, 'missing_credential'])
        assert.match(said.headers.get('www-authenticate') ?? '', /Bearer/)
      })

      it('stands in Authorization or in its own header, and must have the scope', async () => {
        assert.equal((await with_({})).status, 200)
        assert.equal((await with_({ authorization: '', 'x-tollgate-key': verifierKey })).status, 200)
        const wrong = await with_({ authorization: 'Bearer tgv-wrong' })
        assert.deepEqual([wrong.status, wrong.json.code], [401, 'unknown_admin_key'])
        const admin = await with_({ authorization: `Bearer ${adminOnlyKey}` })
        assert.deepEqual([admin.status, admin.json.code], [403, 'forbidden'])
      })

      it('is throttled where it is guessed at, which never shuts out a right one', async () => {
        const from = { 'x-forwarded-for': '203.0.113.5' }
        for (let round = 0; round < 11; round += 1)
          assert.equal((await with_({ authorization: `Bearer guess-${round}`, ...from })).status, 401)
        const blocked = await with_({ authorization: 'Bearer guess', ...from })
        assert.deepEqual([blocked.status, blocked.json.code], [429, 'throttled'])
        assert.equal(blocked.headers.get('retry-after'), '1')
        const admin = await with_({ authorization: `Bearer ${adminOnlyKey}`, ...from })
        assert.equal(admin.status, 429, 'nor does it tell an admin key from nonsense')
        assert.equal((await with_(from)).status, 200)
      })

      it('is in no log, nor is an access token', async () => {
        const { accessToken } = await harness.createUser()
        await harness.post('/auth/check', { token: accessToken })
        await harness.send(`/auth/verify/${accessToken}?model=${accessToken}`, {
          headers: { 'x-tollgate-key': verifierKey, authorization: `Bearer ${accessToken}` },
        })
        await harness.send(`/usage/reservations/${accessToken}/settle`, { method: 'POST' })
        await harness.send(`/auth/${accessToken}`)
        const log = harness.log()
        for (const secret of [verifierKey, adminOnlyKey, accessToken]) assert.ok(!log.includes(secret))
        for (const words of ['"route":"/auth/verify"', '"route":"none"', '"adminKeyId":"', '{id}/settle'])
          assert.ok(log.includes(words), words)
      })
    })

    describe('what is not there', () => {
      it('is 404, and another method 405', async () => {
        for (const path of ['/auth', '/auth/', '/auth/other', '/usage/', '/usage/reservations/'])
          assert.equal((await harness.post(path, {})).status, 404, path)
        for (const path of ['/auth/check', '/auth/introspect', '/usage', '/usage/reservations'])
          for (const method of ['GET', 'PUT', 'DELETE']) {
            const said = await harness.send(path, { method })
            assert.deepEqual([said.status, said.headers.get('allow')], [405, 'POST'], `${method} ${path}`)
          }
      })

      it('what is too large, of another type or packed is not read', async () => {
        const large = await harness.post('/auth/check', { token: 'x'.repeat(1_100_000) })
        assert.deepEqual([large.status, large.json.code], [413, 'body_too_large'])
        const form = await harness.post('/auth/check', 'a=b', { 'content-type': 'text/plain' })
        assert.equal(form.status, 415)
        const packed = await harness.post('/auth/check', {}, { 'content-encoding': 'gzip' })
        assert.equal(packed.status, 415)
      })
    })
  })
}
