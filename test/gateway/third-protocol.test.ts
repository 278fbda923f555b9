import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import { providers } from '#providers/all.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, waitUntil } from '../support/gateway-harness.ts'
import { chatAnswer, event, json, openScripted, pieces, type Scripted } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'
import { third } from '../third-protocol/provider.ts'

/**
 * A protocol that the product does not speak, with its model in the path, through the real gateway: it is one folder, and no
 * other code knows it.
 */
const secret = 'operator-secret-key'
const question = { contents: [{ role: 'user', parts: [{ text: 'Hello there' }] }] }
const figures = {
  promptTokenCount: 10,
  cachedContentTokenCount: 4,
  candidatesTokenCount: 6,
  thoughtsTokenCount: 3,
  totalTokenCount: 19,
}
const charged = { input: 6, cacheRead: 4, cacheWritten: 0, output: 6, reasoning: 3 }

function content(text: string, more: object = {}) {
  return { candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] }, ...more }] }
}

const answer = { ...content('Hi', { finishReason: 'STOP' }), usageMetadata: figures, modelVersion: 'm-1' }
const stream = [
  event({ ...content('Hi '), usageMetadata: { trafficType: 'ON_DEMAND' } }),
  event({ ...content('you'), usageMetadata: { promptTokenCount: 10, totalTokenCount: 10 } }),
  event({ ...content('', { finishReason: 'STOP' }), usageMetadata: figures }),
]
const failure = (code: number, message: string, status: string, reason?: string) => ({
  error: { code, message, status, ...(reason !== undefined && { details: [{ reason }] }) },
})
const path = (model: string, operation = 'generateContent') => `/v1beta/models/${model}:${operation}`

for (const database of databases) {
  describe(`a third protocol, with its model in the path, on ${database.name}`, () => {
    let upstream: Scripted
    let spare: Scripted
    let harness: Harness
    let accessToken = ''
    before(async () => {
      upstream = await openScripted(json(answer))
      spare = await openScripted(json(answer))
      harness = await openHarness(database, {
        providers: [third, ...providers],
        upstreams: [
          {
            name: 'one',
            provider: 'third',
            baseUrl: `${upstream.origin}/v1beta`,
            apiKey: secret,
            models: ['m', 'fast'],
            aliases: { m: 'm', fast: 'tuned/m-1' },
          },
          { name: 'two', provider: 'third', baseUrl: spare.origin, apiKey: secret, models: ['m', 'n'] },
          {
            name: 'other',
            provider: 'openai',
            baseUrl: upstream.origin,
            models: ['*'],
            passRequestHeaders: ['x-third-*'],
          },
        ],
        policy: { families: builtInFamilies },
      })
    })
    after(async () => {
      await harness.close()
      await upstream.close()
      await spare.close()
    })
    beforeEach(async () => {
      upstream.script = json(answer)
      spare.script = json(answer)
      accessToken = await harness.createUser()
    })

    const send = (target: string, body: unknown = question, headers: Readonly<Record<string, string>> = {}) =>
      call(harness.port, { path: target, body, headers: { 'x-third-key': accessToken, ...headers } })
    const settled = async () => {
      await harness.settle()
      return harness.settlements.at(-1)
    }

    it('relays a whole answer, and charges the figures that it states', async () => {
      const got = await send(path('m'))
      assert.equal(got.status, 200)
      assert.deepEqual(JSON.parse(got.text), answer)
      const sent = upstream.requests.at(-1)
      assert.equal(sent?.url, '/v1beta/models/m:generateContent')
      assert.equal(sent.body, JSON.stringify(question))
      assert.equal(sent.headers['x-third-key'], secret)
      const settlement = await settled()
      assert.deepEqual(settlement?.usage, charged)
      assert.equal(settlement.isEstimated, false)
      const rows = await harness.database.rows('select route, model from entries order by id desc limit 1')
      assert.deepEqual(rows, [{ route: '/v1beta/models/{model}:generateContent', model: 'm' }])
    })

    it('names the model in the path as the upstream does, encoded', async () => {
      assert.equal((await send(path('fast'))).status, 200)
      assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/tuned%2Fm-1:generateContent')
      assert.equal(upstream.requests.at(-1)?.body, JSON.stringify(question))
    })

    it('takes the model of a form from the path too', async () => {
      const send = async (model: string, form: FormData) => {
        const { status } = await fetch(harness.origin + path(model, 'transcribe'), {
          method: 'POST',
          headers: { 'x-third-key': accessToken },
          body: form,
        })
        return status
      }
      const form = new FormData()
      form.set('file', new Blob(['sound']), 'a.wav')
      form.set('stream', 'false')
      assert.equal(await send('fast', form), 200)
      const sent = upstream.requests.at(-1)
      assert.equal(sent?.url, '/v1beta/models/tuned%2Fm-1:transcribe')
      assert.match(sent.body, /filename="a\.wav"/)
      assert.deepEqual((await settled())?.usage, charged)
      const rows = await harness.database.rows('select route, model from entries order by id desc limit 1')
      assert.deepEqual(rows, [{ route: '/v1beta/models/{model}:transcribe', model: 'fast' }])
      // The upstream could obey the field, so that another model would run than the one that was admitted.
      form.set('model', 'm')
      const count = upstream.requests.length
      assert.equal(await send('fast', form), 400)
      assert.equal(upstream.requests.length, count)
    })

    it('passes a stream unchanged, with its query, and charges its last figures', async () => {
      upstream.script = pieces(stream)
      const got = await send(`${path('m', 'streamGenerateContent')}?alt=sse&key=${accessToken}`)
      assert.equal(got.text, stream.join(''))
      assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/m:streamGenerateContent?alt=sse')
      const settlement = await settled()
      assert.deepEqual(settlement?.usage, charged)
      assert.equal(settlement.isEstimated, false)
    })

    it('estimates a stream that breaks off, from what it stated and what it wrote', async () => {
      const text = 'word '.repeat(40)
      upstream.script = async (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(event({ ...content(text), usageMetadata: { promptTokenCount: 10 } }))
        await new Promise((resolve) => setTimeout(resolve, 20))
        response.destroy()
      }
      const got = await send(`${path('m', 'streamGenerateContent')}?alt=sse`)
      const events = got.text.trim().split('\n\n')
      assert.equal(JSON.parse(events.at(-1)?.slice(6) ?? '').error.status, 'UNKNOWN')
      const settlement = await settled()
      assert.deepEqual(settlement?.usage, { ...charged, input: 10, cacheRead: 0, output: 50, reasoning: 0 })
      assert.equal(settlement.isEstimated, true)
    })

    it('passes an error of the request on, unchanged and free', async () => {
      const error = failure(400, 'Unknown name "foo"', 'INVALID_ARGUMENT')
      upstream.script = json(error, 400)
      const got = await send(path('m'), { ...question, foo: 1 })
      assert.equal(got.status, 400)
      assert.deepEqual(JSON.parse(got.text), error)
      assert.equal((await settled())?.ending, 'released')
    })

    const refusals = [
      ['the key', 400, failure(400, 'API key not valid.', 'INVALID_ARGUMENT', 'API_KEY_INVALID'), 502],
      ['the bill', 429, failure(429, 'Check your plan and billing details.', 'RESOURCE_EXHAUSTED'), 503],
    ] as const
    for (const [what, status, error, told] of refusals) {
      it(`tries the next upstream after an error about ${what}, and tells nothing of the last one`, async () => {
        upstream.script = json(error, status)
        assert.equal((await send(path('m'))).status, 200)
        assert.equal(spare.requests.at(-1)?.url, '/models/m:generateContent')
        spare.script = json(error, status)
        const got = await send(path('n'))
        assert.equal(got.status, told)
        assert.ok(!got.text.includes(error.error.message), got.text)
        assert.equal(JSON.parse(got.text).error.code, told)
      })
    }

    it('ends a stream at an error about the account, in the words of the protocol', async () => {
      const error = failure(429, 'Your spending limit reached.', 'RESOURCE_EXHAUSTED')
      upstream.script = pieces([stream[0] ?? '', event(error), stream[2] ?? ''])
      const got = await send(`${path('m', 'streamGenerateContent')}?alt=sse`)
      const [first, last, ...more] = got.text.trim().split('\n\n')
      assert.equal(`${first}\n\n`, stream[0])
      assert.equal(JSON.parse(last?.slice(6) ?? '').error.status, 'UNAVAILABLE')
      assert.deepEqual(more, [])
    })

    const bounds = [
      ['no configuration', 93, {}, { generationConfig: { maxOutputTokens: 80 } }],
      [
        'a configuration without a bound',
        93,
        { generationConfig: { temperature: 0 } },
        { generationConfig: { maxOutputTokens: 80, temperature: 0 } },
      ],
      [
        'a bound for two answers',
        20_000,
        { generationConfig: { maxOutputTokens: 20_000, candidateCount: 2 } },
        { generationConfig: { maxOutputTokens: 8192, candidateCount: 2 } },
      ],
    ] as const
    for (const [what, limit, more, sent] of bounds) {
      it(`writes what the quota holds into ${what}`, async () => {
        const holder = await harness.createUser({ quotaLimits: { other: limit } })
        const got = await send(path('m'), { ...question, ...more }, { 'x-third-key': holder })
        assert.equal(got.status, 200)
        assert.deepEqual(JSON.parse(upstream.requests.at(-1)?.body ?? ''), { ...question, ...sent })
        await harness.settle()
        assert.equal(await harness.usedBy(holder), 19)
      })
    }

    it('refuses what exceeds the quota, in the words of the protocol, and sends nothing', async () => {
      const holder = await harness.createUser({ quotaLimits: { other: 2 } })
      const before = upstream.requests.length
      const got = await send(path('m'), question, { 'x-third-key': holder })
      assert.equal(got.status, 429)
      const { error } = JSON.parse(got.text)
      assert.deepEqual([error.code, error.status], [429, 'RESOURCE_EXHAUSTED'])
      assert.equal(upstream.requests.length, before)
    })

    const wrong = [
      ['a model in path and body', path('m'), { ...question, model: 'n' }],
      ['a control character in the model', path('m%00'), question],
      ['another spelling of the configuration', path('m'), { ...question, generation_config: {} }],
      ['another spelling in it', path('m'), { ...question, generationConfig: { max_output_tokens: 1 } }],
    ] as const
    for (const [what, target, body] of wrong) {
      it(`refuses ${what}`, async () => {
        const got = await send(target, body)
        assert.equal(got.status, 400)
        assert.equal(JSON.parse(got.text).error.status, 'INVALID_ARGUMENT')
      })
    }

    it('takes an access token as a bearer too, and refuses an unknown one', async () => {
      const bearer = { method: 'POST', path: path('m'), body: question } as const
      assert.equal((await call(harness.port, { ...bearer, accessToken })).status, 200)
      const unknown = await send(path('m'), question, { 'x-third-key': 'sk-tg-unknown' })
      assert.equal(unknown.status, 401)
      assert.equal(JSON.parse(unknown.text).error.status, 'UNAUTHENTICATED')
    })

    it('sends no secret upstream, in this protocol and in another', async () => {
      const own = { 'x-third-project': 'p-1', 'x-third-mode': 'fast' }
      await send(path('m'), question, own)
      const sent = upstream.requests.at(-1)
      assert.ok(!JSON.stringify(sent).includes(accessToken))
      assert.deepEqual([sent?.headers['x-third-project'], sent?.headers['x-third-mode']], [undefined, 'fast'])
      upstream.script = json(chatAnswer)
      const chat = { model: 'gpt-4o', messages: [] }
      assert.equal((await send('/v1/chat/completions', chat, own)).status, 200)
      const other = upstream.requests.at(-1)
      assert.equal(other?.headers['x-third-mode'], 'fast')
      assert.ok(!JSON.stringify(other).includes(accessToken))
      assert.equal(other?.headers['x-third-project'], undefined)
      assert.ok(!harness.log().includes(accessToken) && !harness.log().includes(secret))
    })

    it('lists the models of its upstreams at its own path, and shows one', async () => {
      spare.script = json({ models: [{ name: 'models/n', displayName: 'N' }, { name: 'models/unserved' }] })
      const get = (target: string) => call(harness.port, { method: 'GET', path: target, accessToken })
      const { models } = JSON.parse((await get('/v1beta/models')).text)
      assert.deepEqual(
        models.map(({ name }: { readonly name: string }) => name),
        ['models/m', 'models/fast', 'models/n'],
      )
      assert.deepEqual(JSON.parse((await get('/v1beta/models/n')).text), {
        name: 'models/n',
        displayName: 'N',
      })
      assert.equal(spare.requests.at(-1)?.url, '/models?pageSize=1000')
    })

    it('says what is wrong with a method or a base address', async () => {
      const headers = { 'x-third-key': accessToken }
      const get = await call(harness.port, {
        method: 'GET',
        path: path('m', 'streamGenerateContent'),
        headers,
      })
      assert.deepEqual([get.status, get.headers.allow], [405, 'POST'])
      const missing = await send('/models/m:generateContent')
      assert.equal(missing.status, 404)
      const { message } = JSON.parse(missing.text).error
      assert.ok(message.includes(`http://127.0.0.1:${harness.port}/v1beta:`), message)
      assert.ok(message.includes('/models/m:generateContent'), message)
    })

    it('cuts a running stream, in the words of the protocol', async () => {
      let isSent = false
      upstream.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(stream[0])
        isSent = true
      }
      const got = send(`${path('m', 'streamGenerateContent')}?alt=sse`)
      await waitUntil(() => isSent, 'the stream runs')
      const user = await harness.userOf(accessToken)
      await waitUntil(
        () => harness.gateway.cutUser(user.id, { code: 'user_disabled', message: 'Off.' }) > 0,
        'it is cut',
      )
      const { text } = await got
      assert.ok(text.includes('"PERMISSION_DENIED"'), text)
      await harness.settle()
    })
  })
}
