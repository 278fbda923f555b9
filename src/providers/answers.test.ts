import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { createProblem, type ErrorCode, errorTable } from '#core/errors.ts'
import type { Usage } from '#core/usage.ts'
import { findProvider, providers } from './all.ts'
import type { LimitsView, Provider } from './provider.ts'

const named = (name: string): Provider => findProvider(name) ?? assert.fail(name)
const openai = named('openai')
const anthropic = named('anthropic')

function endpointAt(path: string) {
  return (
    providers.flatMap(({ endpoints }) => endpoints).find((each) => each.path === path) ?? assert.fail(path)
  )
}

describe('usage of whole answers', () => {
  const of = (
    input: number,
    cacheRead: number,
    cacheWritten: number,
    output: number,
    reasoning: number,
  ): Usage => ({
    input,
    cacheRead,
    cacheWritten,
    output,
    reasoning,
  })
  const cases: readonly (readonly [string, string, object | undefined, Usage | undefined])[] = [
    [
      'plain',
      '/v1/chat/completions',
      { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 },
      of(9, 0, 0, 12, 0),
    ],
    [
      'with details',
      '/v1/chat/completions',
      {
        prompt_tokens: 100,
        completion_tokens: 30,
        total_tokens: 130,
        prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
        completion_tokens_details: { reasoning_tokens: 10 },
      },
      of(30, 60, 10, 20, 10),
    ],
    [
      'with reasoning beside the completion, as the total tells',
      '/v1/chat/completions',
      {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 35,
        completion_tokens_details: { reasoning_tokens: 20 },
      },
      of(10, 0, 0, 5, 20),
    ],
    [
      'with details that exceed the whole',
      '/v1/chat/completions',
      {
        prompt_tokens: 5,
        completion_tokens: 5,
        prompt_tokens_details: { cached_tokens: 9 },
        completion_tokens_details: { reasoning_tokens: 9 },
      },
      of(0, 5, 0, 0, 5),
    ],
    [
      'with details of null',
      '/v1/chat/completions',
      { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: null },
      of(5, 0, 0, 5, 0),
    ],
    ['an embedding', '/v1/embeddings', { prompt_tokens: 8, total_tokens: 8 }, of(8, 0, 0, 0, 0)],
    ['an embedding with a total only', '/v1/embeddings', { total_tokens: 8 }, of(8, 0, 0, 0, 0)],
    [
      'a response',
      '/v1/responses',
      {
        input_tokens: 36,
        input_tokens_details: { cached_tokens: 6 },
        output_tokens: 87,
        output_tokens_details: { reasoning_tokens: 7 },
        total_tokens: 123,
      },
      of(30, 6, 0, 80, 7),
    ],
    [
      'a message',
      '/v1/messages',
      { input_tokens: 10, cache_creation_input_tokens: 20, cache_read_input_tokens: 30, output_tokens: 40 },
      of(10, 30, 20, 40, 0),
    ],
    [
      'a message with null figures',
      '/v1/messages',
      { input_tokens: 10, cache_read_input_tokens: null, output_tokens: 4 },
      of(10, 0, 0, 4, 0),
    ],
    ['none', '/v1/chat/completions', undefined, undefined],
    ['empty', '/v1/messages', {}, undefined],
    ['bad figures', '/v1/chat/completions', { prompt_tokens: -5, completion_tokens: 1e99 }, undefined],
    [
      'one figure of two beyond the bound',
      '/v1/chat/completions',
      { prompt_tokens: 2 ** 53, completion_tokens: 5, total_tokens: 2 ** 53 },
      undefined,
    ],
    [
      'a total beyond it',
      '/v1/chat/completions',
      { completion_tokens: 5, total_tokens: 1e12 + 1 },
      undefined,
    ],
    ['an output beyond it', '/v1/messages', { input_tokens: 10, output_tokens: 1e12 + 1 }, undefined],
    ['at the bound', '/v1/messages', { input_tokens: 1e12, output_tokens: 1e12 }, of(1e12, 0, 0, 1e12, 0)],
    [
      'details beyond it, which are a part of what is stated',
      '/v1/chat/completions',
      { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 2 ** 53 } },
      of(5, 0, 0, 5, 0),
    ],
    ['counting', '/v1/messages/count_tokens', { input_tokens: 5 }, undefined],
  ]
  for (const [name, path, usage, expected] of cases) {
    it(name, () => {
      for (const order of [
        { id: 'x', data: [{ usage: { prompt_tokens: 1 } }], usage },
        { usage, choices: [{ text: '"usage":{' }] },
      ]) {
        assert.deepEqual(endpointAt(path).readUsage(Buffer.from(JSON.stringify(order, null, 1))), expected)
      }
    })
  }

  it('is found at the end of megabytes without reading them', () => {
    const data = Array.from({ length: 200_000 }, (_, at) => at / 7)
    const body = Buffer.from(
      JSON.stringify({ object: 'list', data, usage: { prompt_tokens: 8, total_tokens: 8 } }),
    )
    const startedAt = performance.now()
    for (let round = 0; round < 100; round += 1) endpointAt('/v1/embeddings').readUsage(body)
    assert.ok(performance.now() - startedAt < 200)
  })

  it('of what is no JSON is none', () => {
    for (const text of ['', 'upstream error', '{"usage":{', '"usage"', '[{"usage":{"prompt_tokens":1}}]x']) {
      assert.equal(endpointAt('/v1/chat/completions').readUsage(Buffer.from(text)), undefined)
    }
  })
})

it('estimates the output of an answer without usage from its text', () => {
  const text = 'x'.repeat(400)
  const cases: readonly (readonly [string, unknown, number])[] = [
    [
      '/v1/chat/completions',
      { id: 'y'.repeat(500), choices: [{ message: { role: 'assistant', content: text } }] },
      100,
    ],
    ['/v1/responses', { output: [{ content: [{ type: 'output_text', text }] }] }, 100],
    [
      '/v1/messages',
      {
        content: [
          { type: 'thinking', thinking: text },
          { type: 'text', text },
        ],
      },
      200,
    ],
    ['/v1/embeddings', { data: [{ embedding: [1, 2] }] }, 0],
    ['/v1/chat/completions', { result: 'z'.repeat(387) }, 100],
  ]
  for (const [path, body, expected] of cases) {
    assert.equal(endpointAt(path).estimateOutput(Buffer.from(JSON.stringify(body))), expected)
  }
})

describe('problems', () => {
  const codes = Object.keys(errorTable) as ErrorCode[]
  const problem = createProblem('bad_request', 'The member n is wrong.', {
    issues: [{ path: 'n', message: '' }],
  })

  it('raise the exception of their status in the official clients, each with a message', async () => {
    for (const code of codes) {
      const { status, message } = errorTable[code]
      for (const provider of [openai, anthropic]) {
        const body = provider.renderProblem(createProblem(code), 'req_1')
        const answer = async () =>
          new Response(body, { status, headers: { 'content-type': 'application/json' } })
        const asks =
          provider === openai
            ? new OpenAI({ apiKey: 'k', fetch: answer, maxRetries: 0 }).models.list()
            : new Anthropic({ apiKey: 'k', fetch: answer, maxRetries: 0 }).models.list()
        await assert.rejects(Promise.resolve(asks), (error) => {
          assert.ok(error instanceof OpenAI.APIError || error instanceof Anthropic.APIError)
          assert.equal(error.status, status)
          assert.ok(error.message.startsWith(`${status} `) && error.message.includes(message), error.message)
          assert.ok(error.type, code)
          return true
        })
      }
    }
  })

  it('have exactly the members of their protocol', () => {
    assert.deepEqual(JSON.parse(openai.renderProblem(problem, 'req_1')), {
      error: { message: 'The member n is wrong.', type: 'invalid_request_error', param: 'n', code: null },
    })
    assert.deepEqual(JSON.parse(anthropic.renderProblem(problem, 'req_1')), {
      type: 'error',
      error: { type: 'invalid_request_error', message: 'The member n is wrong.' },
      request_id: 'req_1',
    })
    const limit = { name: 'concurrentRequests', limit: 2, used: 2 } as const
    const limited = createProblem('concurrency_limited', 'Two at once.', { limit })
    assert.deepEqual(JSON.parse(openai.renderProblem(limited, 'req_1')).error.limit, limit)
    assert.deepEqual(JSON.parse(anthropic.renderProblem(limited, 'req_1')).error.limit, limit)
    const quota = JSON.parse(openai.renderProblem(createProblem('quota_exceeded'), 'r')) as { error: object }
    assert.deepEqual({ ...quota.error, type: 'insufficient_quota', code: 'insufficient_quota' }, quota.error)
  })

  it('end a running stream with an error that the clients raise', async () => {
    const limit = { name: 'maxIps', limit: 1, used: 1 } as const
    const cut = createProblem('user_disabled', undefined, { limit })
    const stream = (text: string) => async () =>
      new Response(text, { headers: { 'content-type': 'text/event-stream' } })
    const drain = async (answer: AsyncIterable<unknown>) => {
      for await (const _ of answer);
    }
    const messages = [{ role: 'user' as const, content: 'x' }]
    const first = new OpenAI({ apiKey: 'k', fetch: stream(openai.renderStreamProblem(cut, 'r')) })
    const chat = await first.chat.completions.create({ model: 'm', messages, stream: true })
    await assert.rejects(drain(chat), (error) => {
      assert.ok(error instanceof OpenAI.APIError && error.code === 'user_disabled')
      assert.partialDeepStrictEqual(error.error, { limit })
      return true
    })
    const responses = await first.responses.create({ model: 'm', input: 'x', stream: true })
    await assert.rejects(drain(responses), OpenAI.APIError)
    const second = new Anthropic({ apiKey: 'k', fetch: stream(anthropic.renderStreamProblem(cut, 'r')) })
    const message = await second.messages.create({ model: 'm', max_tokens: 1, messages, stream: true })
    await assert.rejects(drain(message), (error) => {
      assert.ok(error instanceof Anthropic.APIError && error.type === 'permission_error')
      assert.partialDeepStrictEqual(error.error, { error: { limit } })
      return true
    })
  })
})

describe('limits', () => {
  const now = Date.UTC(2026, 0, 1)
  const quota = { family: 'turbo', used: 700, reserved: 100, limit: 1000, extra: 0, resetAt: now + 360_000 }
  const rate = { limit: 60, remaining: 59, resetAt: now + 900 }

  it('are told in durations', () => {
    assert.deepEqual(openai.limitHeaders({ quota, rate }, now), {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '200',
      'x-ratelimit-reset-tokens': '6m0s',
    })
    const far = { ...quota, resetAt: now + 26 * 3_600_000 + 61_000 }
    assert.equal(openai.limitHeaders({ quota: far, rate }, now)['x-ratelimit-reset-tokens'], '26h1m1s')
  })

  it('are told as times', () => {
    assert.deepEqual(anthropic.limitHeaders({ quota, rate }, now), {
      'anthropic-ratelimit-requests-limit': '60',
      'anthropic-ratelimit-requests-remaining': '59',
      'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:01Z',
      'anthropic-ratelimit-tokens-limit': '1000',
      'anthropic-ratelimit-tokens-remaining': '200',
      'anthropic-ratelimit-tokens-reset': '2026-01-01T00:06:00Z',
    })
  })

  const views: readonly (readonly [string, LimitsView, number])[] = [
    ['nothing where no limit holds', { quota: { ...quota, limit: undefined }, rate: undefined }, 0],
    ['nothing where nothing is known', { quota: undefined, rate: undefined }, 0],
    [
      'no reset without a period',
      { quota: { ...quota, resetAt: Number.POSITIVE_INFINITY }, rate: undefined },
      2,
    ],
  ]
  for (const [name, view, count] of views) {
    it(`say ${name}`, () => {
      for (const provider of providers)
        assert.equal(Object.keys(provider.limitHeaders(view, now)).length, count)
    })
  }

  it('never say less than nothing is left', () => {
    const over = { quota: { ...quota, used: 5000 }, rate: undefined }
    for (const provider of providers) assert.ok(Object.values(provider.limitHeaders(over, now)).includes('0'))
  })
})

it('sends the credential as each protocol wants it', () => {
  assert.deepEqual(openai.credentialHeaders('k'), { authorization: 'Bearer k' })
  assert.deepEqual(anthropic.credentialHeaders('k'), { 'x-api-key': 'k' })
  assert.deepEqual(anthropic.defaultHeaders, { 'anthropic-version': '2023-06-01' })
})

it('keeps what a server says of a model, in either shape, and not what it says of itself', () => {
  const facts = {
    max_model_len: 32_768,
    context_length: 131_072,
    context_window: 131_072,
    max_completion_tokens: 8192,
    max_input_tokens: 200_000,
    max_tokens: 64_000,
    max_context_length: 32_000,
    loaded_context_length: 4096,
    capabilities: { vision: true, thinking: { supported: true } },
    architecture: { input_modalities: ['text', 'image'] },
    supported_parameters: ['tools'],
    top_provider: { context_length: 128_000, max_completion_tokens: null },
    meta: { n_ctx_train: 40_960, n_params: 7 },
  }
  const itself = {
    root: '/home/operator/models/seven.gguf',
    permission: [{ organization: '*' }],
    status: { args: ['--api-key', 'operator'] },
    pricing: { prompt: '0.1' },
    parent: null,
    secret: 1,
  }
  const model = { id: 'a', source: { ...facts, ...itself, created: 5, owned_by: 'them' } }
  const shown = JSON.parse(openai.renderModel(model))
  assert.deepEqual(shown, { ...facts, id: 'a', object: 'model', created: 5, owned_by: 'them' })
  assert.deepEqual(JSON.parse(openai.renderModelList([model])).data, [shown])
  const other = JSON.parse(anthropic.renderModel(model))
  const fixed = { id: 'a', type: 'model', display_name: 'a', created_at: '1970-01-01T00:00:05.000Z' }
  assert.deepEqual(other, { ...facts, ...fixed })
  assert.deepEqual(JSON.parse(anthropic.renderModelList([model])).data, [other])
})

it('lists models in each shape', () => {
  const models = [{ id: 'a', source: { created: 1_700_000_000, owned_by: 'them', secret: 1 } }, { id: 'b' }]
  assert.deepEqual(JSON.parse(openai.renderModelList(models)), {
    object: 'list',
    data: [
      { id: 'a', object: 'model', created: 1_700_000_000, owned_by: 'them' },
      { id: 'b', object: 'model', created: 0, owned_by: 'system' },
    ],
  })
  const list = JSON.parse(anthropic.renderModelList(models)) as { data: object[] }
  assert.deepEqual(list, { data: list.data, has_more: false, first_id: 'a', last_id: 'b' })
  assert.deepEqual(list.data[0], JSON.parse(anthropic.renderModel({ ...models[0], id: 'a' })))
  assert.deepEqual(list.data[0], {
    type: 'model',
    id: 'a',
    display_name: 'a',
    created_at: '2023-11-14T22:13:20.000Z',
  })
})
