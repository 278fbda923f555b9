import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatUsage,
  done,
  json,
  openScripted,
  pieces,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { bothAt, useGateway } from '../support/gateway-setup.ts'
import { anyDatabase } from '../support/stores.ts'

describe('what the configuration lets through', () => {
  const { harness, upstream } = useGateway(anyDatabase, (origin) => ({
    upstreams: bothAt(origin),
    gateway: {
      promptModel: 'gpt-4o-mini',
      passThrough: [
        { provider: 'openai', path: '/v1/ocr' },
        { provider: 'anthropic', path: '/v1/complete' },
      ],
    },
  }))

  it('goes to the same path, and is charged what is stated', async () => {
    const accessToken = await harness.createUser({ quotaLimits: { turbo: 10_000 } })
    const body = { model: 'gpt-4o-mini', document: 'x' }
    assert.equal((await call(harness.port, { path: '/v1/ocr', accessToken, body })).status, 200)
    assert.equal(upstream.requests.at(-1)?.url, '/v1/ocr')
    assert.equal(upstream.requests.at(-1)?.body, JSON.stringify(body))
    await harness.settle()
    assert.equal(await harness.usedBy(accessToken), 12)
  })

  it('is never free by accident: without figures its text is estimated', async () => {
    const accessToken = await harness.createUser()
    upstream.script = json({ content: [{ type: 'text', text: 'word '.repeat(400) }] })
    const body = { model: 'claude-x', prompt: 'word '.repeat(100) }
    assert.equal((await call(harness.port, { path: '/v1/complete', accessToken, body })).status, 200)
    assert.equal(upstream.requests.at(-1)?.url, '/v1/complete')
    await harness.settle()
    assert.ok((await harness.usedBy(accessToken)) > 500)
    assert.equal(harness.settlements.at(-1)?.isEstimated, true)
    upstream.script = json(chatAnswer)
  })

  it('is held to quotas and to the models that a user may ask for', async () => {
    const limited = await harness.createUser({ quotaLimits: { turbo: 4_000 } })
    const other = await harness.createUser({ limits: { allowedModels: ['claude-*'] } })
    const before = upstream.requests.length
    const body = { model: 'gpt-4o-mini' }
    assert.equal((await call(harness.port, { path: '/v1/ocr', accessToken: limited, body })).status, 429)
    assert.ok((await call(harness.port, { path: '/v1/ocr', accessToken: other, body })).status >= 403)
    for (const path of ['/v1/ocr/', '/v1/ocr/x', '/v1/complete2', '/v1/files'])
      assert.equal((await call(harness.port, { path, accessToken: limited, body })).status, 404, path)
    assert.equal((await call(harness.port, { path: '/v1/ocr', accessToken: limited, body: {} })).status, 400)
    assert.equal(upstream.requests.length, before)
  })

  it('gives a stored prompt the model that it is admitted by', async () => {
    const accessToken = await harness.createUser({ limits: { allowedModels: ['gpt-4o-mini'] } })
    const ask = (body: object) => call(harness.port, { path: '/v1/responses', accessToken, body })
    assert.equal((await ask({ prompt: { id: 'pmpt_1', version: '2' } })).status, 200)
    const { body = '' } = upstream.requests.at(-1) ?? {}
    assert.deepEqual(JSON.parse(body), { model: 'gpt-4o-mini', prompt: { id: 'pmpt_1', version: '2' } })
    assert.equal((await ask({ input: 'Hi' })).status, 400, 'without a prompt the model is missing')
    assert.ok((await ask({ prompt: { id: 'pmpt_1' }, model: 'gpt-4o' })).status >= 403, 'a stated one counts')
    assert.equal(
      (await call(harness.port, { path: '/v1/chat/completions', accessToken, body: { prompt: {} } })).status,
      400,
    )
  })
})

describe('routes without a model', () => {
  let first: Scripted
  let second: Scripted
  let harness: Harness
  before(async () => {
    first = await openScripted(
      json({ object: 'list', data: [{ id: 'gpt-4o' }], usage: { input_tokens: 9, output_tokens: 9 } }),
    )
    second = await openScripted(json({ id: 'file-1' }))
    harness = await openHarness(anyDatabase, {
      upstreams: [
        upstreamAt(first.origin, { provider: 'openai', name: 'first', models: ['gpt-4o'] }),
        upstreamAt(second.origin, { provider: 'openai', name: 'second' }),
        upstreamAt(second.origin, { provider: 'anthropic' }),
      ],
      policy: { families: builtInFamilies },
      gateway: {
        passThrough: [
          {
            provider: 'openai',
            path: '/v1/files',
            methods: ['GET', 'POST'],
            model: 'files',
            runsModels: false,
          },
          { provider: 'openai', path: '/v1/files/*', methods: ['GET', 'DELETE'], upstream: 'second' },
          { provider: 'openai', path: '/v1/batches', methods: ['GET', 'POST'], model: 'batches' },
          { provider: 'openai', path: '/v1/vector_stores/*/search', model: 'stores' },
          { provider: 'openai', path: '/v1/models/*/endpoints', methods: ['GET'] },
          { provider: 'anthropic', path: '/v1/messages/batches', methods: ['GET'] },
        ],
      },
    })
  })
  after(async () => {
    await harness.settle()
    await harness.close()
    await first.close()
    await second.close()
  })

  const get = (path: string, accessToken: string, headers = {}) =>
    call(harness.port, { method: 'GET', path, accessToken, headers })

  it('reach the first upstream, whatever it serves, with its credential and none of the user', async () => {
    const accessToken = await harness.createUser()
    const answer = await get(`/v1/files?limit=2&api_key=${accessToken}`, accessToken, {
      cookie: 'mine=1',
      'x-forwarded-for': '10.1.2.3',
    })
    assert.equal(answer.status, 200)
    const { method, url, headers, body } = first.requests.at(-1) ?? {}
    assert.deepEqual([method, url, body], ['GET', '/v1/files?limit=2', ''])
    assert.equal(headers?.authorization, 'Bearer upstream-secret')
    await get(`/v1/files?purpose=batch&api_key=${accessToken}&limit=2`, accessToken)
    assert.equal(first.requests.at(-1)?.url, '/v1/files?purpose=batch&limit=2')
    assert.ok(!JSON.stringify(headers).includes(accessToken) && !headers?.cookie)
    assert.ok(!JSON.stringify(headers).includes('10.1.2.3'))
  })

  it('are counted as one request each, and not charged again what an answer says of other work', async () => {
    const accessToken = await harness.createUser()
    await get('/v1/batches', accessToken)
    first.script = pieces([chatUsage(7, 5), done])
    await get('/v1/batches', accessToken)
    first.script = json({
      object: 'list',
      data: [{ id: 'gpt-4o' }],
      usage: { input_tokens: 9, output_tokens: 9 },
    })
    await harness.settle()
    assert.equal(await harness.usedBy(accessToken), 0)
    const { promptCount, id } = await harness.userOf(accessToken)
    assert.equal(promptCount, 2)
    const rows = await harness.database.rows(
      `select model, status, state from entries where user_id = '${id}'`,
    )
    assert.deepEqual(rows.map(Object.values), [
      ['batches', 200, 'settled'],
      ['batches', 200, 'settled'],
    ])
    assert.ok(harness.log().includes('"route":"/v1/batches"'))
  })

  it('charge what is posted by the figures of its answer', async () => {
    const accessToken = await harness.createUser()
    const body = { input_file_id: 'file-1' }
    assert.equal((await call(harness.port, { path: '/v1/batches', accessToken, body })).status, 200)
    assert.equal(first.requests.at(-1)?.body, JSON.stringify(body))
    await harness.settle()
    assert.equal(await harness.usedBy(accessToken), 18)
  })

  it('take bodies that are no JSON, byte for byte', async () => {
    const accessToken = await harness.createUser({ quotaLimits: { turbo: 100 } })
    const form =
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"a":1}\r\n--x--\r\n'
    const headers = { 'content-type': 'multipart/form-data; boundary=x' }
    assert.equal(
      (await call(harness.port, { path: '/v1/files', accessToken, headers, body: form })).status,
      200,
    )
    assert.equal(first.requests.at(-1)?.body, form)
    const octets = { 'content-type': 'application/octet-stream' }
    const bytes = Buffer.from([0, 1, 2])
    assert.equal(
      (await call(harness.port, { path: '/v1/files', accessToken, headers: octets, body: bytes })).status,
      200,
    )
    const broken = { path: '/v1/files', accessToken, body: '{"model":' }
    assert.equal((await call(harness.port, broken)).status, 400, 'what says that it is JSON has to be')
  })

  it('go to the upstream that is named', async () => {
    const accessToken = await harness.createUser()
    for (const method of ['GET', 'DELETE']) {
      const path = '/v1/files/file-1/content'
      assert.equal((await call(harness.port, { method, path, accessToken })).status, 200)
      const { method: sent, url } = second.requests.at(-1) ?? {}
      assert.deepEqual([sent, url], [method, path])
    }
  })

  it('take no path that an upstream could read as another, and no method that is not listed', async () => {
    const accessToken = await harness.createUser()
    const sent = () => first.requests.length + second.requests.length
    const before = sent()
    for (const path of [
      '/v1/files/../chat/completions',
      '/v1/files/%2e%2e/chat/completions',
      '/v1/files/..',
      '/v1/files/a//b',
      '/v1/files/',
      '/v1/files/a\\b',
      '/v1/vector_stores/a/b/search',
      '/v1/batches/x',
    ])
      assert.equal((await get(path, accessToken)).status, 404, path)
    const wrong = await call(harness.port, { path: '/v1/files/x', accessToken, body: {} })
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'GET, DELETE'])
    assert.equal(sent(), before)
  })

  it('leave the routes beside them as they are', async () => {
    const accessToken = await harness.createUser()
    assert.equal((await get('/v1/models/gpt-4o', accessToken)).status, 200)
    assert.equal((await get('/v1/models/a%2Fb', accessToken)).status, 404)
    await get('/v1/models/gpt-4o/endpoints', accessToken)
    assert.equal(first.requests.at(-1)?.url, '/v1/models/gpt-4o/endpoints')
    await get('/v1/messages/batches', accessToken)
    assert.equal(second.requests.at(-1)?.url, '/v1/messages/batches')
  })

  it('are open to a user with a list of models only where the list has their name', async () => {
    const narrow = await harness.createUser({ limits: { allowedModels: ['gpt-*'] } })
    const named = await harness.createUser({ limits: { allowedModels: ['gpt-*', 'files', '/v1/files'] } })
    const before = first.requests.length
    assert.equal((await get('/v1/files', narrow)).status, 404)
    assert.equal((await get('/v1/files/x', narrow)).status, 404)
    const body = { model: 'o3' }
    assert.equal((await call(harness.port, { path: '/v1/files', accessToken: narrow, body })).status, 404)
    assert.equal(first.requests.length, before)
    assert.equal((await get('/v1/files', named)).status, 200)
    assert.equal((await get('/v1/files/x', named)).status, 200)
  })

  it('run nothing for a user whose limits it could evade', async () => {
    const limited = await harness.createUser({ quotaLimits: { turbo: 100 } })
    const before = first.requests.length
    const post = (path: string, body: unknown) => call(harness.port, { path, accessToken: limited, body })
    assert.equal((await post('/v1/batches', { input_file_id: 'x' })).status, 404)
    assert.equal((await post('/v1/vector_stores/a/search', { query: 'x' })).status, 404)
    assert.equal(first.requests.length, before)
    assert.equal((await get('/v1/batches', limited)).status, 200, 'reading runs nothing')
  })
})
