import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { createAuthority } from '../support/certificates.ts'
import { makeFolder } from '../support/folder.ts'
import { type ForwardProxy, openForwardProxy } from '../support/forward-proxy.ts'
import { call } from '../support/gateway-client.ts'
import { openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Script, type Scripted } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/** What is said of one upstream, as it arrives there over real connections. One database: the account has no part in it. */
describe('the settings of an upstream', () => {
  const [database] = databases
  let upstream: Scripted
  const list: Script = json({
    object: 'list',
    data: [{ id: 'llama3.2:1b', object: 'model', owned_by: 'them' }],
  })
  const serve: Script = (request, response, socket) =>
    (request.method === 'GET' ? list : json(chatAnswer))(request, response, socket)
  before(async () => {
    upstream = await openScripted(serve)
  })
  after(() => upstream.close())

  async function ask(settings: Partial<UpstreamConfig>, body: object | string) {
    assert.ok(database)
    const harness = await openHarness(database, {
      upstreams: [{ ...upstreamAt(upstream.origin, { provider: 'openai' }), ...settings }],
      policy: { families: builtInFamilies },
    })
    try {
      const accessToken = await harness.createUser()
      const path = '/v1/chat/completions'
      const text = typeof body === 'string' ? body : { messages: [], ...body }
      const answer = await call(harness.port, { path, accessToken, body: text })
      const models = await call(harness.port, { method: 'GET', path: '/v1/models', accessToken })
      return {
        answer,
        models: JSON.parse(models.text).data,
        sent: upstream.requests.findLast((one) => one.method === 'POST'),
        log: harness.log(),
      }
    } finally {
      await harness.close()
    }
  }

  const named = { models: ['fast', 'gpt-4o'], aliases: { fast: 'llama3.2:1b', 'gpt-4o': 'gpt-4o-2024' } }

  it('names a model as the upstream does, and changes nothing else of the body', async () => {
    const { answer, sent } = await ask(named, { model: 'fast', max_tokens: 5 })
    assert.equal(answer.status, 200)
    assert.equal(sent?.body, '{"messages":[],"model":"llama3.2:1b","max_tokens":5}')
  })

  it('takes an alias in any case, and no other name', async () => {
    assert.equal(JSON.parse((await ask(named, { model: 'FAST' })).sent?.body ?? '').model, 'llama3.2:1b')
    const before = upstream.requests.filter(({ method }) => method === 'POST').length
    assert.notEqual((await ask(named, { model: 'llama3.2:1b' })).answer.status, 200)
    assert.equal(upstream.requests.filter(({ method }) => method === 'POST').length, before)
  })

  it('lists the aliases, with what the upstream says of the models', async () => {
    const { models } = await ask(named, { model: 'fast' })
    assert.deepEqual(
      models.map((model: { id: string; owned_by?: string }) => [model.id, model.owned_by === 'them']),
      [
        ['fast', true],
        ['gpt-4o', false],
      ],
    )
  })

  it('asks a stream for its usage only where the upstream takes that', async () => {
    const asked = async (settings: Partial<UpstreamConfig>) =>
      'stream_options' in JSON.parse((await ask(settings, { model: 'a', stream: true })).sent?.body ?? '')
    assert.equal(await asked({}), true)
    assert.equal(await asked({ streamOptions: 'never' }), false)
  })

  it('takes out what a client asks of a stream where the upstream refuses the member', async () => {
    const options = '"stream_options": {"include_usage":true}'
    for (const body of [
      `{"model":"a","stream":true , ${options} }`,
      `{${options}, "model":"a","stream":true}`,
      `{"model":"a",${options},"stream":true}`,
      `{"model":"fast", "str\\u0065am_options" : null , "stream":true}`,
    ]) {
      const { sent } = await ask({ streamOptions: 'never' }, body)
      assert.deepEqual(Object.keys(JSON.parse(sent?.body ?? '')), ['model', 'stream'], body)
    }
  })

  it('sends the headers that are configured, and says none of their values to the log', async () => {
    const headers = { 'X-Team': 'secret-4711', 'user-agent': 'ours' }
    const { sent, log } = await ask({ headers, apiKey: 'key-4711', apiKeyHeader: 'api-key' }, { model: 'a' })
    assert.equal(sent?.headers['x-team'], 'secret-4711')
    assert.equal(sent?.headers['user-agent'], 'ours')
    assert.equal(sent?.headers['api-key'], 'key-4711')
    assert.equal(sent?.headers.authorization, undefined)
    assert.doesNotMatch(log, /4711/)
  })

  it('gives up a connection that does not open within its time, and not before', async () => {
    const sockets = new Set<Socket>()
    const silent = createTcpServer((socket) => void sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const baseUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`
    try {
      const from = performance.now()
      const { answer, log } = await ask({ baseUrl, connectTimeoutMs: 500 }, { model: 'a' })
      const tookMs = performance.now() - from
      assert.equal(answer.status, 502)
      assert.match(log, /UND_ERR_CONNECT_TIMEOUT/)
      assert.ok(tookMs >= 500 && tookMs < 9000, `${tookMs} ms`)
    } finally {
      for (const socket of sockets) socket.destroy()
      silent.close()
    }
  })

  describe('behind a proxy', () => {
    let proxy: ForwardProxy
    before(async () => {
      proxy = await openForwardProxy()
    })
    after(() => proxy.close())

    it('reaches plain HTTP by it, with a user and a password', async () => {
      const withUser = proxy.url.replace('//', '//ann:p%40ss-4711@')
      const { answer, sent, log } = await ask({ proxy: withUser }, { model: 'a' })
      assert.equal(answer.status, 200)
      assert.equal(sent?.headers['proxy-authorization'], undefined)
      assert.equal(sent?.headers['content-type'], 'application/json')
      assert.equal(sent?.headers.authorization, 'Bearer upstream-secret')
      assert.ok(proxy.asked.includes(`POST ${upstream.origin}/v1/chat/completions`))
      assert.equal(proxy.credentials.at(-1), `Basic ${Buffer.from('ann:p@ss-4711').toString('base64')}`)
      assert.doesNotMatch(log, /4711/)
    })

    it('goes past it for hosts that it is not for', async () => {
      const before = proxy.asked.length
      assert.equal((await ask({ proxy: proxy.url, noProxy: '127.0.0.1' }, { model: 'a' })).answer.status, 200)
      assert.equal(proxy.asked.length, before)
    })

    it('is unreachable where the proxy is, and not past it', async () => {
      const closed = await openForwardProxy()
      await closed.close()
      assert.equal((await ask({ proxy: closed.url }, { model: 'a' })).answer.status, 502)
    })

    it('is unreachable where the proxy refuses the credential, forwarding or tunnelling, and the next is tried', async () => {
      assert.ok(database)
      const refusing = await openForwardProxy({ refuses: true })
      const url = refusing.url.replace('//', '//ann:p4711@')
      const behind = (origin: string) => ({
        ...upstreamAt(origin, { provider: 'openai', name: 'behind' }),
        proxy: url,
      })
      const next = upstreamAt(upstream.origin, { provider: 'openai', name: 'next' })
      try {
        for (const first of [behind(upstream.origin), behind('https://127.0.0.1:1')]) {
          const { answer, log } = await ask(first, { model: 'a' })
          assert.equal(answer.status, 502)
          assert.equal(JSON.parse(answer.text).error.code, 'upstream_failed')
          assert.match(log, /"failure":"unreachable"[^\n]*proxy[^\n]*407/i)
          assert.doesNotMatch(log + answer.text, /4711/)
          const pair = await openHarness(database, { upstreams: [first, next] })
          const accessToken = await pair.createUser()
          const path = '/v1/chat/completions'
          const body = { model: 'gpt-4o', messages: [] }
          assert.equal((await call(pair.port, { path, accessToken, body })).status, 200)
          await pair.settle()
          assert.equal(pair.settlements.at(-1)?.upstream, 'next')
          await pair.close()
        }
      } finally {
        await refusing.close()
      }
    })

    it('reaches HTTPS by a tunnel, and trusts the authority that is configured alone', async () => {
      const folder = makeFolder()
      const authority = createAuthority(folder.path, 'authority')
      const { certificate, key } = authority.issue('server', '127.0.0.1')
      const secure = createServer(
        { cert: readFileSync(certificate), key: readFileSync(key) },
        (request, response) =>
          void request.resume().on('end', () => response.end(JSON.stringify(chatAnswer))),
      )
      await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
      const baseUrl = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/v1`
      const ca = readFileSync(authority.certificate, 'utf8')
      try {
        assert.equal((await ask({ baseUrl, ca }, { model: 'a' })).answer.status, 200)
        assert.equal((await ask({ baseUrl }, { model: 'a' })).answer.status, 502)
        assert.equal((await ask({ baseUrl, ca, proxy: proxy.url }, { model: 'a' })).answer.status, 200)
        assert.equal(proxy.asked.at(-1), `CONNECT ${new URL(baseUrl).host}`)
        assert.equal((await ask({ baseUrl, proxy: proxy.url }, { model: 'a' })).answer.status, 502)
      } finally {
        secure.closeAllConnections()
        secure.close()
        folder.remove()
      }
    })
  })
})
