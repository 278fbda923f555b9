import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { providers } from '#providers/all.ts'
import { openUpstreams } from '#upstreams/open.ts'
import { call } from '../support/gateway-client.ts'
import { openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

for (const database of databases) {
  describe(`what crosses the gateway on ${database.name}`, () => {
    let accessToken: string
    const { harness, upstream } = useGateway(database)
    before(async () => {
      accessToken = await harness.createUser()
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
      const meant = {
        accept: 'application/json',
        'anthropic-version': '2024-01-01',
        'anthropic-beta': 'one,two',
        'anthropic-dangerous-direct-browser-access': 'true',
        'user-agent': 'mine/1',
        'x-stainless-lang': 'js',
        'x-stainless-retry-count': '1',
        'idempotency-key': 'once',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        'x-app': 'cli',
      }
      const others = {
        'x-api-key': accessToken,
        'api-key': accessToken,
        'x-goog-api-key': accessToken,
        'x-tollgate-key': accessToken,
        'x-hop': 'secret hop',
        connection: 'keep-alive, x-hop',
        cookie: 'a=b',
        'x-forwarded-for': '192.0.2.1',
        'x-forwarded-proto': 'https',
        'cf-connecting-ip': '192.0.2.1',
        'true-client-ip': '192.0.2.1',
        'x-client-ip': '192.0.2.1',
        forwarded: 'for=192.0.2.1',
        via: '1.1 somebody',
        te: 'trailers',
        expect: '100-continue',
        origin: 'https://internal.example',
        referer: 'https://internal.example/page',
        'x-codex-turn-metadata': '{"remote":"git@internal.example"}',
        'openai-organization': 'org-another',
        'x-anything-new': 'later',
      }
      await call(harness.port, {
        ...message,
        headers: { ...others, ...meant, 'accept-encoding': 'gzip, br' },
      })
      const received = upstream.requests.at(-1)?.headers ?? {}
      for (const [name, value] of Object.entries(meant)) assert.equal(received[name], value, name)
      assert.equal(received['accept-encoding'], 'identity')
      assert.equal(received.host, new URL(upstream.origin).host)
      assert.equal(received['x-api-key'], 'upstream-secret')
      const sent = Object.keys(received).filter((name) => !(name in meant))
      assert.deepEqual(sent.sort(), [
        'accept-encoding',
        'connection',
        'content-length',
        'content-type',
        'host',
        'x-api-key',
      ])
      assert.doesNotMatch(JSON.stringify(upstream.requests.at(-1)?.rawHeaders), /192\.0\.2\.1|internal/)
    })

    it('passes what the configuration names besides, in either direction', async () => {
      const own = await openHarness(database, {
        upstreams: [
          upstreamAt(upstream.origin, {
            provider: 'openai',
            passRequestHeaders: ['x-acme-*'],
            passAnswerHeaders: ['x-trace'],
          }),
        ],
      })
      upstream.script = json(chatAnswer, 200, { 'x-trace': 't', 'x-acme-team': 'theirs' })
      try {
        const headers = { 'x-acme-team': 'blue', 'x-trace': 'client' }
        const answer = await call(own.port, { ...chat, accessToken: await own.createUser(), headers })
        const received = upstream.requests.at(-1)?.headers
        assert.deepEqual([received?.['x-acme-team'], received?.['x-trace']], ['blue', undefined])
        assert.deepEqual([answer.headers['x-trace'], answer.headers['x-acme-team']], ['t', undefined])
      } finally {
        upstream.script = json(chatAnswer)
        await own.close()
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

    it('keeps credentials in an address from the upstream', async () => {
      const path = `/v1/messages?key=${accessToken}&beta=true&API_KEY=${accessToken}`
      await call(harness.port, { ...message, path, accessToken })
      assert.equal(upstream.requests.at(-1)?.url, '/v1/messages?beta=true')
    })

    it('keeps parameters from the upstream that no protocol defines, such as a model', async () => {
      const unknown =
        'model=claude-b&MODEL=claude-b&%6dodel=claude-b&deployment_id=b&beta=1;model=b&alt=1%3Bmodel=b'
      await call(harness.port, { ...message, path: `/v1/messages?${unknown}&beta=true`, accessToken })
      assert.equal(upstream.requests.at(-1)?.url, '/v1/messages?beta=true')
      await call(harness.port, { ...chat, path: `${chat.path}?${unknown}`, accessToken })
      assert.equal(upstream.requests.at(-1)?.url, '/v1/chat/completions')
    })

    it('sends what was read as JSON on as JSON, whatever the client states', async () => {
      const types = [
        ['application/x-www-form-urlencoded', 'application/json'],
        ['multipart/form-data; boundary=x', 'application/json'],
        ['text/plain', 'application/json'],
        ['application/json; x=form', 'application/json'],
        ['application/json; charset=utf-8', 'application/json; charset=utf-8'],
      ] as const
      for (const [stated, sent] of types) {
        const headers = { 'x-title': 'content-type', 'content-type': stated }
        await call(harness.port, { ...chat, accessToken, headers })
        assert.equal(upstream.requests.at(-1)?.headers['content-type'], sent, stated)
      }
      // Named by `Connection`, the client's header ends here.
      await call(harness.port, { ...chat, accessToken, headers: { connection: 'content-type' } })
      assert.equal(upstream.requests.at(-1)?.headers['content-type'], 'application/json')
    })

    it("passes the answer's headers on that are meant for clients, and no others", async () => {
      const meant = {
        'retry-after': '3',
        'openai-processing-ms': '12',
        'openai-version': '2020-10-01',
        'request-id': 'req_theirs',
        'cache-control': 'no-cache',
        'x-should-retry': 'true',
        'x-accel-buffering': 'no',
      }
      const others = {
        'x-request-id': 'theirs',
        'openai-organization': 'org-operator',
        'openai-project': 'proj_operator',
        'anthropic-organization-id': 'operator',
        'anthropic-ratelimit-tokens-remaining': '5',
        'x-ratelimit-remaining-tokens': '5',
        'ratelimitbysize-remaining': '5',
        'x-ms-deployment-name': 'operator',
        'x-ms-region': 'operator',
        'x-litellm-key-spend': '1.5',
        'x-litellm-model-api-base': 'https://operator.example',
        'llm_provider-x-request-id': 'operator',
        'x-groq-region': 'operator',
        'cf-ray': 'operator',
        'set-cookie': 'session=operator',
        'access-control-allow-origin': '*',
        location: 'https://operator.example',
        server: 'uvicorn',
        'x-powered-by': 'operator',
        'keep-alive': 'timeout=9',
        connection: 'x-named',
        'x-named': 'operator',
        'x-anything-new': 'operator',
      }
      for (const request of [chat, message]) {
        upstream.script = json(chatAnswer, 201, { ...meant, ...others })
        const answer = await call(harness.port, { ...request, accessToken })
        upstream.script = json(chatAnswer)
        assert.equal(answer.status, 201)
        assert.match(String(answer.headers['x-request-id']), /^req_/)
        for (const [name, value] of Object.entries(meant)) {
          if (request === message && name.startsWith('openai-')) continue
          assert.equal(answer.headers[name], value, name)
        }
        assert.doesNotMatch(JSON.stringify(answer.headers), /operator|uvicorn|"theirs"/)
        const named = new Set([...Object.keys(meant), 'x-request-id', 'content-type', 'server-timing'])
        const framing = new Set(['content-length', 'transfer-encoding', 'date', 'connection', 'keep-alive'])
        const more = Object.keys(answer.headers).filter((name) => !named.has(name) && !framing.has(name))
        assert.deepEqual(more, [])
      }
    })

    it('passes header bytes that are no ASCII', async () => {
      const name = Buffer.from('attachment; filename=grün').toString('latin1')
      upstream.script = (_request, response) => {
        response.setHeader('content-disposition', name)
        json(chatAnswer)(_request, response, response.socket as never)
      }
      const answer = await call(harness.port, { ...chat, accessToken })
      upstream.script = json(chatAnswer)
      assert.equal(answer.headers['content-disposition'], name)
    })

    it("honours the query and the user of an upstream's address, and logs neither", async () => {
      const address = new URL(`${upstream.origin}/deployments/one?api-version=2026-01-01&tenant=a%20b`)
      address.username = 'gate'
      address.password = 'pa:ss wörd'
      const own = await openHarness(database, {
        upstreams: [
          { name: 'openai', provider: 'openai', baseUrl: address.href, models: ['*'] },
          { name: 'anthropic', provider: 'anthropic', baseUrl: address.href, models: ['*'], apiKey: 'both' },
        ],
      })
      try {
        const user = await own.createUser()
        const basic = `Basic ${Buffer.from('gate:pa:ss wörd').toString('base64')}`
        const ask = async (request: typeof chat) => {
          const answer = await call(own.port, { ...request, accessToken: user })
          assert.equal(answer.status, 200)
          const { url, headers } = upstream.requests.at(-1) ?? {}
          assert.equal(headers?.authorization, basic)
          return url
        }
        const query = '?api-version=2026-01-01&tenant=a%20b'
        assert.equal(await ask(chat), `/deployments/one/chat/completions${query}`)
        const asked = { ...message, path: '/v1/messages?beta=true&api-version=1&tenant=mine' } as never
        assert.equal(await ask(asked), `/deployments/one/v1/messages${query}&beta=true`)
        assert.equal(upstream.requests.at(-1)?.headers['x-api-key'], 'both')
        await call(own.port, { method: 'GET', path: '/v1/models', accessToken: user })
        assert.equal(upstream.requests.at(-1)?.url, `/deployments/one/models${query}&limit=1000`)
        assert.doesNotMatch(own.log(), /pa:ss|pa%3Ass|Basic|tenant/)
      } finally {
        await own.close()
      }
      assert.throws(
        () =>
          openUpstreams(
            [{ name: 'two', provider: 'openai', baseUrl: address.href, models: ['*'], apiKey: 'k' }],
            {
              providers,
              clock: Date.now,
            },
          ),
        (error: Error) =>
          /both use the authorization header/.test(error.message) && !/pa:ss/.test(error.message),
      )
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
