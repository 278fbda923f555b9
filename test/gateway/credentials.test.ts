import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Scripted } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

for (const database of databases) {
  describe(`what crosses the gateway on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    let accessToken: string
    before(async () => {
      upstream = await openScripted(json(chatAnswer))
      harness = await openHarness(database, {
        upstreams: [
          upstreamAt(upstream.origin, { provider: 'openai' }),
          upstreamAt(upstream.origin, { provider: 'anthropic' }),
        ],
      })
      accessToken = await harness.createUser()
    })
    after(async () => {
      await harness.close()
      await upstream.close()
    })

    const messages = [{ role: 'user', content: 'a secret of mine' }]
    const chat = { path: '/v1/chat/completions', body: { model: 'gpt-4o', messages } }
    const message = { path: '/v1/messages', body: { model: 'claude-x', max_tokens: 5, messages } }

    it("sends the upstream its own credential and never the user's", async () => {
      for (const headers of [{ authorization: `Bearer ${accessToken}` }, { 'x-api-key': accessToken }]) {
        await call(harness.port, { ...chat, headers })
        const first = upstream.requests.at(-1)
        assert.equal(first?.headers.authorization, 'Bearer upstream-secret')
        assert.equal(first?.headers['x-api-key'], undefined)
        await call(harness.port, { ...message, headers })
        const second = upstream.requests.at(-1)
        assert.equal(second?.headers['x-api-key'], 'upstream-secret')
        assert.equal(second?.headers.authorization, undefined)
        for (const request of [first, second]) {
          assert.ok(!JSON.stringify(request?.rawHeaders).includes(accessToken))
        }
      }
    })

    it('passes the request headers on that are meant for the upstream, and no others', async () => {
      const headers = {
        'x-api-key': accessToken,
        'anthropic-version': '2024-01-01',
        'anthropic-beta': 'one,two',
        'user-agent': 'mine/1',
        'x-stainless-lang': 'js',
        'x-hop': 'secret hop',
        connection: 'keep-alive, x-hop',
        cookie: 'a=b',
        'x-forwarded-for': '192.0.2.1',
        'x-forwarded-proto': 'https',
        forwarded: 'for=192.0.2.1',
        via: '1.1 somebody',
        te: 'trailers',
        'accept-encoding': 'gzip, br',
        expect: '100-continue',
      }
      await call(harness.port, { ...message, headers })
      const received = upstream.requests.at(-1)?.headers ?? {}
      assert.equal(received['anthropic-version'], '2024-01-01', "the client's own stands before the default")
      assert.equal(received['anthropic-beta'], 'one,two')
      assert.equal(received['user-agent'], 'mine/1')
      assert.equal(received['x-stainless-lang'], 'js')
      assert.equal(received['accept-encoding'], 'identity')
      assert.equal(received.host, new URL(upstream.origin).host)
      for (const name of [
        'x-hop',
        'cookie',
        'x-forwarded-for',
        'x-forwarded-proto',
        'forwarded',
        'via',
        'te',
        'expect',
      ]) {
        assert.equal(received[name], undefined, name)
      }
    })

    it('adds what the protocol requires where the client does not say', async () => {
      await call(harness.port, { ...message, accessToken })
      assert.equal(upstream.requests.at(-1)?.headers['anthropic-version'], '2023-06-01')
    })

    it('passes the query on', async () => {
      await call(harness.port, { ...message, path: '/v1/messages?beta=true', accessToken })
      assert.equal(upstream.requests.at(-1)?.url, '/v1/messages?beta=true')
    })

    it("passes the answer's headers on, without those that speak of the operator's account", async () => {
      upstream.script = json(chatAnswer, 201, {
        'x-request-id': 'theirs',
        'x-custom': 'kept',
        'retry-after': '3',
        'openai-organization': 'org-operator',
        'x-ratelimit-remaining-tokens': '5',
        'set-cookie': 'session=operator',
        'keep-alive': 'timeout=9',
        connection: 'x-named',
        'x-named': 'dropped',
      })
      const answer = await call(harness.port, { ...chat, accessToken })
      upstream.script = json(chatAnswer)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers['x-custom'], 'kept')
      assert.equal(answer.headers['retry-after'], '3')
      assert.match(String(answer.headers['x-request-id']), /^req_/)
      for (const name of ['openai-organization', 'x-ratelimit-remaining-tokens', 'set-cookie', 'x-named']) {
        assert.equal(answer.headers[name], undefined, name)
      }
    })

    it('passes header bytes that are no ASCII', async () => {
      upstream.script = (_request, response) => {
        response.setHeader('x-name', Buffer.from('grün').toString('latin1'))
        json(chatAnswer)(_request, response, response.socket as never)
      }
      const answer = await call(harness.port, { ...chat, accessToken })
      upstream.script = json(chatAnswer)
      assert.equal(Buffer.from(String(answer.headers['x-name']), 'latin1').toString(), 'grün')
    })

    it('an upstream without a key gets no credential', async () => {
      const { apiKey: _, ...keyless } = upstreamAt(upstream.origin, { provider: 'openai' })
      const own = await openHarness(database, { upstreams: [keyless] })
      try {
        await call(own.port, { ...chat, accessToken: await own.createUser() })
        assert.equal(upstream.requests.at(-1)?.headers.authorization, undefined)
      } finally {
        await own.close()
      }
    })

    it('logs neither secrets, nor URLs, nor what was said', async () => {
      await call(harness.port, {
        ...chat,
        accessToken: 'sentinel-access-token',
        path: '/v1/models?key=sentinel-query',
      })
      await call(harness.port, { ...chat, accessToken, path: '/v1/sentinel-path' })
      await harness.settle()
      const log = harness.log()
      assert.ok(log.includes('/v1/chat/completions') && log.includes('"userId":"usr_'))
      for (const secret of [accessToken, 'upstream-secret', 'sentinel', 'a secret of mine', 'Hello there']) {
        assert.ok(!log.includes(secret), secret)
      }
    })
  })
}
