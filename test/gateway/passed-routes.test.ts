import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Scripted } from '../support/gateway-scripted.ts'
import { anyDatabase } from '../support/stores.ts'

describe('what the configuration lets through', () => {
  let upstream: Scripted
  let harness: Harness
  before(async () => {
    upstream = await openScripted(json(chatAnswer))
    harness = await openHarness(anyDatabase, {
      upstreams: [
        upstreamAt(upstream.origin, { provider: 'openai' }),
        upstreamAt(upstream.origin, { provider: 'anthropic' }),
      ],
      gateway: {
        promptModel: 'gpt-4o-mini',
        passThrough: [
          { provider: 'openai', path: '/v1/ocr' },
          { provider: 'anthropic', path: '/v1/complete' },
        ],
      },
    })
  })
  after(async () => {
    await harness.settle()
    await harness.close()
    await upstream.close()
  })

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
