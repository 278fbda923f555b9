import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import OpenAI from 'openai'
import { boundaryOf, readForm } from '#lib/form-fields.ts'
import { upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import { json, type ScriptedRequest } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

const imageUsage = {
  total_tokens: 1100,
  input_tokens: 44,
  output_tokens: 1056,
  input_tokens_details: { text_tokens: 14, image_tokens: 30 },
}
const compaction = {
  id: 'resp_1',
  object: 'response.compaction',
  created_at: 1,
  output: [{ type: 'compaction', encrypted_content: 'x'.repeat(5000) }],
  usage: { input_tokens: 900, output_tokens: 100, total_tokens: 1000 },
}
const judged = { id: 'modr-1', model: 'omni-moderation-latest', results: [{ flagged: false }] }
const file = () => new File([Buffer.alloc(50_000, 7)], 'sound.mp3', { type: 'audio/mpeg' })

/** What the official client sends, what comes back, and the units that are charged. */
interface Case {
  readonly name: string
  readonly path: string
  readonly ask: (client: OpenAI) => Promise<unknown>
  readonly answer: object | string | Buffer
  readonly type?: string
  readonly units: number
}

const cases: readonly Case[] = [
  {
    name: 'a compaction',
    path: '/v1/responses/compact',
    ask: (client) => client.responses.compact({ model: 'gpt-5-mini', input: 'Hello' }),
    answer: compaction,
    units: 1000,
  },
  {
    name: 'an image',
    path: '/v1/images/generations',
    ask: (client) => client.images.generate({ model: 'gpt-image-1-mini', prompt: 'A tollgate', n: 2 }),
    answer: { created: 1, data: [{ b64_json: 'AAAA' }], usage: imageUsage },
    units: 1100,
  },
  {
    name: 'an image whose model is paid by the piece',
    path: '/v1/images/generations',
    ask: (client) => client.images.generate({ model: 'gpt-dall-mini', prompt: 'A tollgate' }),
    answer: { created: 1, data: [{ url: 'https://images.example/1' }] },
    units: 0,
  },
  {
    name: 'an edited image',
    path: '/v1/images/edits',
    ask: (client) => client.images.edit({ model: 'gpt-image-1-mini', image: file(), prompt: 'A gate' }),
    answer: { created: 1, data: [{ b64_json: 'AAAA' }], usage: imageUsage },
    units: 1100,
  },
  {
    name: 'a stream of images',
    path: '/v1/images/generations',
    ask: async (client) => {
      const stream = await client.images.generate({ model: 'gpt-image-1-mini', prompt: 'A', stream: true })
      const types: string[] = []
      for await (const event of stream) types.push(event.type)
      assert.deepEqual(types, ['image_generation.partial_image', 'image_generation.completed'])
    },
    type: 'text/event-stream',
    answer:
      `event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"${'A'.repeat(200_000)}"}\n\n` +
      `event: image_generation.completed\ndata: ${JSON.stringify({ type: 'image_generation.completed', b64_json: 'AA', usage: imageUsage })}\n\n`,
    units: 1100,
  },
  {
    name: 'a speech, in which something looks like usage',
    path: '/v1/audio/speech',
    ask: async (client) => {
      const sound = await client.audio.speech.create({ model: 'gpt-tts-mini', input: 'Hi', voice: 'alloy' })
      assert.equal((await sound.arrayBuffer()).byteLength, 50_022)
    },
    type: 'audio/mpeg',
    answer: Buffer.concat([Buffer.alloc(50_000, 0xff), Buffer.from('"usage":{"a":1,"b":2}}')]),
    units: 0,
  },
  {
    name: 'a transcription',
    path: '/v1/audio/transcriptions',
    ask: (client) => client.audio.transcriptions.create({ model: 'gpt-transcribe-mini', file: file() }),
    answer: {
      text: 'Hello',
      usage: { type: 'tokens', input_tokens: 14, output_tokens: 45, total_tokens: 59 },
    },
    units: 59,
  },
  {
    name: 'a transcription that is paid by the second',
    path: '/v1/audio/transcriptions',
    ask: (client) => client.audio.transcriptions.create({ model: 'gpt-whisper-mini', file: file() }),
    answer: { text: 'Hello', usage: { type: 'duration', seconds: 9 } },
    units: 0,
  },
  {
    name: 'a moderation',
    path: '/v1/moderations',
    ask: (client) => client.moderations.create({ model: 'gpt-moderation-mini', input: 'Hello' }),
    answer: judged,
    units: 0,
  },
  {
    name: 'an order of documents',
    path: '/v1/rerank',
    ask: (client) =>
      client.post('/rerank', { body: { model: 'gpt-rerank-mini', query: 'q', documents: ['d'] } }),
    answer: { results: [{ index: 0, relevance_score: 0.5 }], usage: { total_tokens: 15 } },
    units: 15,
  },
  {
    name: 'an order of documents whose figures stand elsewhere',
    path: '/v1/rerank',
    ask: (client) =>
      client.post('/rerank', { body: { model: 'gpt-rerank-mini', query: 'q', documents: ['d'] } }),
    answer: { results: [], meta: { billed_units: { search_units: 1, input_tokens: 21 } } },
    units: 21,
  },
  {
    name: 'a count',
    path: '/v1/responses/input_tokens',
    ask: async (client) => {
      const count = await client.responses.inputTokens.count({ model: 'gpt-5-mini', input: 'Hello' })
      assert.equal(count.input_tokens, 11)
    },
    answer: { object: 'response.input_tokens', input_tokens: 11 },
    units: 0,
  },
]

for (const database of databases) {
  describe(`what is neither a text nor a vector on ${database.name}`, () => {
    const { harness, upstream } = useGateway(database, (origin) => ({
      upstreams: [
        upstreamAt(origin, {
          provider: 'openai',
          name: 'renamed',
          models: ['gpt-hear-mini'],
          aliases: { 'gpt-hear-mini': 'whisper-1' },
        }),
        upstreamAt(origin, { provider: 'openai' }),
      ],
    }))

    const clientOf = (apiKey: string) =>
      new OpenAI({ apiKey, baseURL: `${harness.origin}/v1`, maxRetries: 0 })
    const limited = (units: number) => harness.createUser({ quotaLimits: { turbo: units } })
    const answerWith = ({ answer, type = 'application/json' }: Case) => {
      const bytes = typeof answer === 'object' && !Buffer.isBuffer(answer) ? JSON.stringify(answer) : answer
      upstream.script = (_request: ScriptedRequest, response) => {
        response.writeHead(200, { 'content-type': type }).end(bytes)
      }
    }

    for (const one of cases) {
      it(`${one.name} is charged what the provider states`, async () => {
        answerWith(one)
        const accessToken = await limited(1_000_000)
        await one.ask(clientOf(accessToken))
        assert.equal(upstream.requests.at(-1)?.url, one.path)
        await waitUntil(() => harness.gateway.openRelays() === 0, 'it is booked')
        assert.equal(await harness.usedBy(accessToken), one.units)
        const settled = harness.settlements.at(-1)
        assert.deepEqual([settled?.ending, settled?.isEstimated], ['settled', false])
      })

      it(`${one.name} is not sent where the quota could not hold it`, async () => {
        answerWith(one)
        const before = upstream.requests.length
        const asked = one.ask(clientOf(await limited(1)))
        const isFree = one.path.endsWith('/input_tokens')
        if (isFree) await asked
        else await assert.rejects(asked, (error) => error instanceof OpenAI.RateLimitError)
        assert.equal(upstream.requests.length, before + (isFree ? 1 : 0))
      })
    }

    it('is charged what was held where the client hangs up before its end', async () => {
      const accessToken = await limited(1_000_000)
      const controller = new AbortController()
      upstream.script = () => controller.abort()
      const asked = clientOf(accessToken).images.generate(
        { model: 'gpt-dall-mini', prompt: 'A tollgate', n: 2 },
        { signal: controller.signal },
      )
      await assert.rejects(asked)
      await waitUntil(() => harness.gateway.openRelays() === 0, 'it is booked')
      assert.ok((await harness.usedBy(accessToken)) > 12_800)
    })

    it('writes the name that an upstream has for it into a form', async () => {
      upstream.script = json({ text: 'Hello' })
      const client = clientOf(await harness.createUser())
      await client.audio.transcriptions.create({ model: 'gpt-hear-mini', file: file() })
      const { body = '', headers } = upstream.requests.at(-1) ?? {}
      assert.ok(/\r\n\r\nwhisper-1\r\n--/.test(body) && !body.includes('gpt-hear-mini'))
      const boundary = boundaryOf(headers?.['content-type'])
      assert.equal(readForm(Buffer.from(body), boundary ?? '').kind, 'read')
      assert.equal(harness.settlements.at(-1)?.upstream, 'renamed')
    })

    it('finds the model in a form, and only where it stands once', async () => {
      upstream.script = json({ text: 'Hello' })
      const accessToken = await harness.createUser({ limits: { allowedModels: ['gpt-whisper-mini'] } })
      const send = (fields: readonly (readonly [string, string])[]) => {
        const body = new FormData()
        for (const [name, value] of fields) body.append(name, value)
        body.append('file', file())
        const headers = { authorization: `Bearer ${accessToken}` }
        return fetch(`${harness.origin}/v1/audio/transcriptions`, { method: 'POST', headers, body })
      }
      const allowed = ['model', 'gpt-whisper-mini'] as const
      assert.equal((await send([allowed])).status, 200)
      assert.ok(upstream.requests.at(-1)?.body.includes('gpt-whisper-mini'), 'the form goes on as it came')
      const before = upstream.requests.length
      assert.ok((await send([['model', 'gpt-4o']])).status >= 403)
      assert.equal((await send([allowed, ['model', 'gpt-4o']])).status, 400)
      assert.equal((await send([])).status, 400)
      assert.equal((await send([allowed, ['stream', 'perhaps']])).status, 400)
      assert.equal(upstream.requests.length, before)
    })
  })
}
