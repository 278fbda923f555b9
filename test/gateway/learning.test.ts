import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { createInputCorrections } from '#metering/input-corrections.ts'
import { call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatChunk,
  done,
  event,
  json,
  openScripted,
  pieces,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/** What the provider has counted corrects the holds of later requests, and the charges of those without figures. */
const path = '/v1/chat/completions'
const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }
const picture = { model: 'gpt-4o', max_tokens: 50, messages: [{ role: 'user', content: [image] }] }
const text = { model: 'gpt-4o', max_tokens: 50, messages: [{ role: 'user', content: 'x'.repeat(4000) }] }
const realInput = 6400

for (const database of databases) {
  describe(`the estimate of the input learns on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    afterEach(async () => {
      await harness.close()
      await upstream.close()
    })

    async function open(usage: object): Promise<void> {
      const choices = [
        { index: 0, message: { role: 'assistant', content: 'A gate.' }, finish_reason: 'stop' },
      ]
      upstream = await openScripted(json({ id: 'chatcmpl-1', object: 'chat.completion', choices, ...usage }))
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { corrections },
      })
    }
    let corrections = createInputCorrections()

    async function ask(accessToken: string, body: object = picture): Promise<number> {
      const { status, text: said } = await call(harness.port, { path, accessToken, body })
      assert.equal(status, 200, said)
      await harness.settle()
      const [entry] = await harness.database.rows(
        'select input_estimate from entries order by id desc limit 1',
      )
      return Number(entry?.input_estimate)
    }

    const counted = {
      usage: { prompt_tokens: realInput, completion_tokens: 3, total_tokens: realInput + 3 },
    }

    it('from the figures of the provider, cached ones too, for that kind of content and model only', async () => {
      corrections = createInputCorrections()
      const prompt_tokens_details = { cached_tokens: realInput - 100 }
      await open({ usage: { ...counted.usage, prompt_tokens_details } })
      const accessToken = await harness.createUser()
      const first = await ask(accessToken)
      assert.ok(first < 1700, `${first}`)
      for (let n = 0; n < 20; n += 1) await ask(accessToken)
      const last = await ask(accessToken)
      assert.ok(last > 0.9 * realInput && last < 1.1 * realInput, `${last}`)
      const other = await ask(accessToken, { ...picture, model: 'gpt-4.1' })
      assert.ok(other < 1700, `${other}`)
      const words = await ask(accessToken, text)
      assert.ok(words < 1100, `${words}`)
    })

    it('so that what has no figures is charged nearer to the truth', async () => {
      corrections = createInputCorrections()
      const units = { plain: 20, tools: 0, serverTools: 0, images: 1600, documents: 0, audio: 0, sealed: 0 }
      for (let n = 0; n < 100; n += 1)
        corrections.learn({ userId: `usr_${n % 5}`, model: 'gpt-4o', units, real: realInput })
      await open({})
      const accessToken = await harness.createUser()
      await ask(accessToken)
      const used = await harness.usedBy(accessToken)
      assert.ok(used > 0.9 * realInput && used < 1.1 * realInput, `${used}`)
    })

    it('from nothing that is no figure of the provider, or not of this body alone', async () => {
      corrections = createInputCorrections()
      await open({})
      const accessToken = await harness.createUser()
      await ask(accessToken)
      const usage = { input_tokens: 90_000, output_tokens: 2, total_tokens: 90_002 }
      upstream.script = json({ object: 'response', output: [], usage })
      const more = { model: 'gpt-4o', input: 'And?', previous_response_id: 'resp_1', max_output_tokens: 50 }
      const { status } = await call(harness.port, { path: '/v1/responses', accessToken, body: more })
      assert.equal(status, 200)
      await harness.settle()
      assert.deepEqual(corrections.takeChanged(100), [])
    })
  })
}

for (const database of databases) {
  it(`a stream that is cut is charged what such streams hide, on ${database.name}`, async (t) => {
    const words = chatChunk('x'.repeat(400)).repeat(5)
    const usage = {
      prompt_tokens: 7,
      completion_tokens: 2000,
      total_tokens: 2007,
      completion_tokens_details: { reasoning_tokens: 1500 },
    }
    const upstream = await openScripted(pieces([words, event({ choices: [], usage }), done]))
    const harness = await openHarness(database, {
      upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
    })
    t.after(async () => {
      await harness.close()
      await upstream.close()
    })
    const ask = { path, body: { ...text, max_tokens: 1200, stream: true } }
    const used = async (request: typeof ask): Promise<number> => {
      const accessToken = await harness.createUser()
      const client = openRaw(harness.port, { ...request, accessToken })
      await waitUntil(() => client.received().split('xxxx').length > 450, 'the words have come')
      client.hangUp()
      await harness.settle()
      assert.equal(harness.settlements.at(-1)?.isEstimated, true)
      const { output = 0, reasoning = 0 } = harness.settlements.at(-1)?.usage ?? {}
      return output + reasoning
    }
    const whole = upstream.script
    const stopped: typeof whole = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(words)
    }
    upstream.script = stopped
    const unlearned = await used(ask)
    assert.ok(unlearned > 480 && unlearned < 520, `${unlearned}`)
    upstream.script = whole
    const accessToken = await harness.createUser()
    for (let n = 0; n < 30; n += 1) await call(harness.port, { ...ask, accessToken })
    await harness.settle()
    upstream.script = stopped
    const bounded = await used(ask)
    assert.equal(bounded, 1200, 'no more than was held')
    const learned = await used({ ...ask, body: { ...ask.body, max_tokens: 100_000 } })
    assert.ok(learned > 1800 && learned < 2200, `${learned}`)
    const other = await used({ ...ask, body: { ...ask.body, model: 'gpt-4.1' } })
    assert.equal(other, unlearned)
  })
}
