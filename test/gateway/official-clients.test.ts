import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { unitsOf } from '#core/usage.ts'
import { simulatedModels } from '#upstreams/simulated/models.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import { databases } from '../support/stores.ts'

/** The official clients, unmodified: what they accept, what they raise, and that the account agrees with the upstream. */
for (const database of databases) {
  describe(`the official clients on ${database.name}`, () => {
    let simulated: SimulatedUpstream
    let harness: Harness
    let accessToken: string
    const limits = { turbo: 1_000_000, gpt4: 1_000_000, claude: 1_000_000 }
    before(async () => {
      simulated = await openSimulatedUpstream({
        port: 0,
        apiKey: 'upstream-secret',
        behaviour: { chunkMs: 0 },
      })
      harness = await openHarness(database, {
        upstreams: [
          upstreamAt(simulated.url, {
            provider: 'openai',
            passRequestHeaders: ['x-simulate'],
            models: ['gpt-*', 'o*', 'text-embedding-*'],
          }),
          upstreamAt(simulated.url, {
            provider: 'anthropic',
            passRequestHeaders: ['x-simulate'],
            models: ['claude-*'],
          }),
        ],
        policy: { limits },
      })
    })
    after(async () => {
      await harness.close()
      await simulated.close()
    })

    async function openai(options: object = {}): Promise<OpenAI> {
      accessToken = await harness.createUser()
      simulated.clearServed()
      return new OpenAI({ apiKey: accessToken, baseURL: `${harness.origin}/v1`, ...options })
    }

    async function anthropic(options: object = {}): Promise<Anthropic> {
      accessToken = await harness.createUser()
      simulated.clearServed()
      return new Anthropic({ apiKey: accessToken, baseURL: harness.origin, ...options })
    }

    /** What the upstream says that it served is what the account says was used. */
    async function agree(): Promise<number> {
      await harness.settle()
      const served = simulated.served().reduce((sum, { usage }) => sum + (usage ? unitsOf(usage) : 0), 0)
      assert.equal(await harness.usedBy(accessToken), served)
      return served
    }

    const messages = [{ role: 'user' as const, content: 'Tell me about tollgates, please.' }]

    describe('openai', () => {
      it('chat completions', async () => {
        const client = await openai()
        const answer = await client.chat.completions.create({ model: 'gpt-4o', messages })
        assert.ok(answer.choices[0]?.message.content)
        assert.equal(await agree(), answer.usage?.total_tokens)
      })

      it('chat completions with reasoning and a cache', async () => {
        const client = await openai({ defaultHeaders: { 'x-simulate': 'reasoning=9; cached=4' } })
        const answer = await client.chat.completions.create({ model: 'gpt-4o', messages })
        assert.equal(answer.usage?.completion_tokens_details?.reasoning_tokens, 9)
        assert.equal(await agree(), answer.usage?.total_tokens)
        assert.deepEqual(
          [harness.settlements.at(-1)?.usage.reasoning, harness.settlements.at(-1)?.usage.cacheRead],
          [9, 4],
        )
      })

      it('chat streams', async () => {
        const client = await openai()
        let text = ''
        let usageChunks = 0
        for await (const chunk of await client.chat.completions.create({
          model: 'gpt-4o',
          messages,
          stream: true,
        })) {
          text += chunk.choices[0]?.delta.content ?? ''
          if (chunk.choices.length === 0) usageChunks += 1
        }
        assert.ok(text.length > 0)
        assert.equal(usageChunks, 0, 'nobody gets a chunk that was not asked for')
        assert.ok((await agree()) > 0)
      })

      it('chat streams with usage', async () => {
        const client = await openai()
        const options = { stream: true, stream_options: { include_usage: true } } as const
        let total: number | undefined
        for await (const chunk of await client.chat.completions.create({
          model: 'gpt-4o',
          messages,
          ...options,
        })) {
          total = chunk.usage?.total_tokens ?? total
        }
        assert.equal(await agree(), total)
      })

      it('completions', async () => {
        const client = await openai()
        const answer = await client.completions.create({
          model: 'gpt-3.5-turbo-instruct',
          prompt: 'Once upon',
        })
        assert.equal(await agree(), answer.usage?.total_tokens)
        for await (const _ of await client.completions.create({
          model: 'gpt-3.5-turbo-instruct',
          prompt: 'Once',
          stream: true,
        })) {
          // Read to its end.
        }
        assert.ok((await agree()) > (answer.usage?.total_tokens ?? 0))
      })

      it('responses', async () => {
        const client = await openai()
        const answer = await client.responses.create({ model: 'gpt-4o', input: 'Tell me about tollgates.' })
        assert.ok(answer.output_text.length > 0)
        assert.equal(await agree(), answer.usage?.total_tokens)
        let total: number | undefined
        for await (const event of await client.responses.create({
          model: 'gpt-4o',
          input: 'Again.',
          stream: true,
        })) {
          if (event.type === 'response.completed') total = event.response.usage?.total_tokens
        }
        assert.equal(await agree(), (answer.usage?.total_tokens ?? 0) + (total ?? 0))
      })

      it('embeddings', async () => {
        const client = await openai()
        const answer = await client.embeddings.create({
          model: 'text-embedding-3-small',
          input: ['one two', 'three'],
        })
        assert.equal(answer.data.length, 2)
        assert.equal(await agree(), answer.usage.total_tokens)
      })

      it('models', async () => {
        const client = await openai()
        const ids = []
        for await (const model of client.models.list()) ids.push(model.id)
        assert.ok(ids.includes('gpt-4o') && ids.includes('text-embedding-3-small'))
        assert.ok(
          !ids.some((id) => id.startsWith('claude-')),
          'only what an upstream of this protocol serves',
        )
        assert.equal((await client.models.retrieve('gpt-4o')).id, 'gpt-4o')
        await assert.rejects(client.models.retrieve('gpt-17'), OpenAI.NotFoundError)
      })

      it('tells where the holder stands, with the request id that the ledger has', async () => {
        const client = await openai()
        const { response, request_id } = await client.chat.completions
          .create({ model: 'gpt-4o', messages })
          .withResponse()
        assert.equal(response.headers.get('x-ratelimit-limit-tokens'), '1000000')
        assert.equal(request_id, harness.settlements.at(-1)?.requestId)
        assert.match(response.headers.get('server-timing') ?? '', /^tollgate;dur=\d+\.\d\d$/)
      })
    })

    describe('anthropic', () => {
      const request = { model: 'claude-haiku-4-5', max_tokens: 200, messages }

      it('messages', async () => {
        const client = await anthropic({ defaultHeaders: { 'x-simulate': 'cached=3; cache-written=2' } })
        const answer = await client.messages.create(request)
        assert.equal(answer.type, 'message')
        const { input_tokens, output_tokens } = answer.usage
        assert.equal(await agree(), input_tokens + output_tokens + 5)
      })

      it('message streams', async () => {
        const client = await anthropic()
        const final = await client.messages.stream(request).finalMessage()
        assert.equal(await agree(), final.usage.input_tokens + final.usage.output_tokens)
      })

      it('message streams of the beta, with its query', async () => {
        const client = await anthropic()
        await client.beta.messages.create({ ...request, betas: ['some-beta'] })
        assert.equal(simulated.served()[0]?.headers['anthropic-beta'], 'some-beta')
        await agree()
      })

      it('counting costs nothing', async () => {
        const client = await anthropic()
        const { max_tokens: _, ...counted } = request
        const answer = await client.messages.countTokens(counted)
        assert.ok(answer.input_tokens > 0)
        await harness.settle()
        assert.equal(await harness.usedBy(accessToken), 0)
        assert.equal(harness.settlements.at(-1)?.ending, 'settled')
        assert.equal((await harness.userOf(accessToken)).promptCount, 0)
      })

      it('models', async () => {
        const client = await anthropic()
        const ids = []
        for await (const model of client.models.list()) ids.push(model.id)
        assert.deepEqual(
          ids,
          simulatedModels.filter((id) => id.startsWith('claude-')),
        )
        assert.equal((await client.models.retrieve('claude-haiku-4-5')).type, 'model')
      })
    })

    describe('raise the right exception, and do not hammer', () => {
      let attempts = 0
      const counting = {
        fetch(...args: Parameters<typeof fetch>) {
          attempts += 1
          return fetch(...args)
        },
      }

      /** Each client's class for what this user's request meets, and how often it tries. */
      const cases: readonly {
        readonly name: string
        readonly edit?: Parameters<Harness['createUser']>[0]
        readonly model?: string
        readonly credential?: string
        readonly simulate?: string
        readonly error:
          | 'AuthenticationError'
          | 'PermissionDeniedError'
          | 'NotFoundError'
          | 'RateLimitError'
          | 'InternalServerError'
          | 'BadRequestError'
        readonly attempts: number
      }[] = [
        { name: 'unknown access token', credential: 'sk-nobody', error: 'AuthenticationError', attempts: 1 },
        { name: 'disabled', edit: { disabledAt: 1 }, error: 'PermissionDeniedError', attempts: 1 },
        {
          name: 'expired',
          edit: { type: 'temporary', expiresAt: 1 },
          error: 'PermissionDeniedError',
          attempts: 1,
        },
        {
          name: 'another network',
          edit: { limits: { allowedNetworks: ['192.0.2.0/24'] } },
          error: 'PermissionDeniedError',
          attempts: 1,
        },
        {
          name: 'a model that is not allowed',
          edit: { limits: { allowedModels: ['nothing'] } },
          error: 'NotFoundError',
          attempts: 1,
        },
        { name: 'a model of no family', model: 'llama-3', error: 'NotFoundError', attempts: 1 },
        {
          name: 'quota spent',
          edit: { quotaLimits: { gpt4: 0, claude: 0 } },
          error: 'RateLimitError',
          attempts: 1,
        },
        {
          name: 'rate limit of nothing',
          edit: { limits: { requestsPerMinute: 0 } },
          error: 'RateLimitError',
          attempts: 1,
        },
        { name: 'upstream says 400', simulate: 'status=400', error: 'BadRequestError', attempts: 1 },
        { name: 'upstream says 500', simulate: 'status=500', error: 'InternalServerError', attempts: 2 },
      ]
      for (const protocol of ['openai', 'anthropic'] as const) {
        for (const { name, edit, model, credential, simulate, error, attempts: expected } of cases) {
          it(`${protocol}: ${name} is ${error}`, async () => {
            const apiKey = credential ?? (await harness.createUser(edit))
            const headers = simulate === undefined ? {} : { defaultHeaders: { 'x-simulate': simulate } }
            const options = { apiKey, maxRetries: 1, ...counting, ...headers }
            attempts = 0
            const sent =
              protocol === 'openai'
                ? new OpenAI({ baseURL: `${harness.origin}/v1`, ...options }).chat.completions.create({
                    model: model ?? 'gpt-4o',
                    messages,
                  })
                : new Anthropic({ baseURL: harness.origin, ...options }).messages.create({
                    model: model ?? 'claude-x',
                    max_tokens: 9,
                    messages,
                  })
            await assert.rejects(sent, protocol === 'openai' ? OpenAI[error] : Anthropic[error])
            assert.equal(attempts, expected)
          })
        }
      }

      it('wait a second and try again where only running requests stand in the way', async () => {
        const apiKey = await harness.createUser({ limits: { concurrentRequests: 1 } })
        const client = new OpenAI({ apiKey, baseURL: `${harness.origin}/v1`, maxRetries: 1, ...counting })
        const slow = client.chat.completions.create(
          { model: 'gpt-4o', messages },
          { headers: { 'x-simulate': 'delay=400' } },
        )
        await waitUntil(() => harness.gateway.openRelays() === 1, 'the first runs')
        attempts = 0
        const second = await client.chat.completions.create({ model: 'gpt-4o', messages })
        assert.ok(second.usage)
        assert.equal(attempts, 2)
        await slow
      })
    })
  })
}
