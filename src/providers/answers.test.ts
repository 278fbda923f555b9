import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { createProblem, type ErrorCode, errorTable } from '#core/errors.ts'
import { noUsage, type Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import { findProvider, providers } from './all.ts'
import type { AnswerReading, LimitsView, Provider } from './provider.ts'

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
      'with more from a cache than the whole',
      '/v1/chat/completions',
      { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 9 } },
      of(0, 5, 0, 5, 0),
    ],
    [
      'with details of null',
      '/v1/chat/completions',
      { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: null },
      of(5, 0, 0, 5, 0),
    ],
    [
      'with more reasoning than completion, which stands beside it',
      '/v1/chat/completions',
      {
        prompt_tokens: 2,
        completion_tokens: 9,
        total_tokens: 11,
        completion_tokens_details: { reasoning_tokens: 27 },
      },
      of(2, 0, 0, 9, 27),
    ],
    [
      'with reasoning at the top level',
      '/v1/chat/completions',
      { prompt_tokens: 2, completion_tokens: 9, total_tokens: 11, reasoning_tokens: 27 },
      of(2, 0, 0, 9, 27),
    ],
    [
      'with a total that is more than its parts',
      '/v1/chat/completions',
      { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 },
      of(35, 0, 0, 12, 62),
    ],
    [
      'with a total that holds the reasoning and more',
      '/v1/chat/completions',
      {
        prompt_tokens: 35,
        completion_tokens: 12,
        total_tokens: 109,
        completion_tokens_details: { reasoning_tokens: 5 },
      },
      of(35, 0, 0, 12, 62),
    ],
    [
      'with a total less than its parts',
      '/v1/chat/completions',
      { prompt_tokens: 35, completion_tokens: 12, total_tokens: 12 },
      of(35, 0, 0, 12, 0),
    ],
    [
      'with audio beside the prompt, as the total tells',
      '/v1/chat/completions',
      {
        prompt_tokens: 4,
        completion_tokens: 12,
        total_tokens: 46,
        prompt_tokens_details: { audio_tokens: 30, cached_tokens: 4 },
      },
      of(30, 4, 0, 12, 0),
    ],
    [
      'with audio beside the completion, as the total tells',
      '/v1/chat/completions',
      {
        prompt_tokens: 4,
        completion_tokens: 12,
        total_tokens: 46,
        completion_tokens_details: { audio_tokens: 30, reasoning_tokens: 2 },
      },
      of(4, 0, 0, 40, 2),
    ],
    [
      'with audio that is stated in seconds',
      '/v1/chat/completions',
      { prompt_tokens: 4, completion_tokens: 635, total_tokens: 3264, prompt_audio_seconds: 203 },
      of(2629, 0, 0, 635, 0),
    ],
    [
      'with a cache beside the prompt, as the total tells',
      '/v1/chat/completions',
      {
        prompt_tokens: 10,
        completion_tokens: 5,
        total_tokens: 105,
        prompt_tokens_details: { cached_tokens: 90 },
      },
      of(10, 90, 0, 5, 0),
    ],
    ...(
      [
        [{ num_cached_tokens: 6 }, of(3, 6, 0, 5, 0)],
        [{ cached_tokens: 6 }, of(3, 6, 0, 5, 0)],
        [{ prompt_cache_hit_tokens: 6, prompt_cache_miss_tokens: 3 }, of(3, 6, 0, 5, 0)],
        [{ cache_read_input_tokens: 6, cache_creation_input_tokens: 2 }, of(1, 6, 2, 5, 0)],
        [{ num_cached_tokens: null, cached_tokens: 6 }, of(3, 6, 0, 5, 0)],
      ] as const
    ).map(
      ([more, expected]) =>
        [
          `with what was read from a cache as ${Object.keys(more)[0]}`,
          '/v1/chat/completions',
          { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, ...more },
          expected,
        ] as const,
    ),
    [
      'a message with what ran beside it',
      '/v1/messages',
      {
        input_tokens: 23_000,
        output_tokens: 1000,
        iterations: [
          {
            type: 'compaction',
            input_tokens: 180_000,
            output_tokens: 3500,
            cache_read_input_tokens: 9,
            cache_creation_input_tokens: 0,
          },
          { type: 'message', input_tokens: 23_000, output_tokens: 1000 },
          { type: 'advisor_message', model: 'claude-opus-5', input_tokens: 800, output_tokens: 90 },
        ],
      },
      of(203_800, 9, 0, 4590, 0),
    ],
    [
      'a message of a fallback, of which what declined is not charged',
      '/v1/messages',
      {
        input_tokens: 412,
        output_tokens: 264,
        iterations: [
          { type: 'message', model: 'claude-fable-5', input_tokens: 535, output_tokens: 0 },
          { type: 'fallback_message', model: 'claude-opus-5', input_tokens: 412, output_tokens: 264 },
        ],
      },
      of(412, 0, 0, 264, 0),
    ],
    [
      'a message with an absurd figure beside it',
      '/v1/messages',
      { input_tokens: 5, output_tokens: 5, iterations: [{ type: 'compaction', input_tokens: 2 ** 53 }] },
      undefined,
    ],
    ['an embedding of zeros', '/v1/embeddings', { prompt_tokens: 0, total_tokens: 0 }, undefined],
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
        assert.deepEqual(
          endpointAt(path).readAnswer(Buffer.from(JSON.stringify(order, null, 1))).usage,
          expected,
        )
      }
    })
  }

  it('is found at the end of megabytes without reading them', () => {
    const data = Array.from({ length: 200_000 }, (_, at) => at / 7)
    const body = Buffer.from(
      JSON.stringify({ object: 'list', data, usage: { prompt_tokens: 8, total_tokens: 8 } }),
    )
    const startedAt = performance.now()
    for (let round = 0; round < 100; round += 1) endpointAt('/v1/embeddings').readAnswer(body)
    assert.ok(performance.now() - startedAt < 200)
  })

  it('does not exist for a body that is not JSON', () => {
    for (const text of ['', 'upstream error', '{"usage":{', '"usage"', '[{"usage":{"prompt_tokens":1}}]x']) {
      assert.equal(endpointAt('/v1/chat/completions').readAnswer(Buffer.from(text)).usage, undefined)
    }
  })
})

describe('answers of status 200 that are only errors', () => {
  const chat = '/v1/chat/completions'
  const zeros = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
  const said = { choices: [{ message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }] }
  const cases: readonly (readonly [string, string, unknown, Partial<AnswerReading>])[] = [
    ['an error', chat, { error: { message: 'overloaded', code: 502 } }, { isError: true, usage: undefined }],
    ['an error in words', chat, { code: 'busy', error: 'Try again' }, { isError: true }],
    ['an error in a list', chat, [{ error: { code: 503, status: 'UNAVAILABLE' } }], { isError: true }],
    ['an error by its object', chat, { object: 'error', message: 'no' }, { isError: true }],
    ['an error by its type', '/v1/messages', { type: 'error', message: 'no' }, { isError: true }],
    [
      'a response that failed',
      '/v1/responses',
      { status: 'failed', error: {}, usage: null },
      { isError: true },
    ],
    ['an error of an embedding', '/v1/embeddings', { error: { message: 'no' } }, { isError: true }],
    ['an error that states zeros', chat, { error: { code: 502 }, usage: zeros }, { isError: true }],
    [
      'an error within its choice',
      chat,
      {
        choices: [
          {
            finish_reason: 'error',
            error: { message: 'no', code: 502 },
            message: { role: 'assistant', content: '' },
          },
        ],
      },
      { isError: true },
    ],
    [
      'an error of one answer beside the text of another',
      chat,
      { choices: [{ error: { code: 502 } }, ...said.choices] },
      { isError: false },
    ],
    [
      'an input alone beside text',
      chat,
      { ...said, usage: { prompt_tokens: 10, completion_tokens: 0 } },
      { isError: false, usage: { ...noUsage, input: 10 }, passed: { output: 2, reasoning: 0 } },
    ],
    ['no error', chat, { error: null, ...said }, { isError: false }],
    ['an error beside text', chat, { error: { code: 502 }, ...said }, { isError: false }],
    ['zeros beside text', chat, { ...said, usage: zeros }, { isError: false, usage: undefined }],
    ['zeros beside nothing', chat, { choices: [], usage: zeros }, { isError: false, usage: noUsage }],
  ]
  for (const [name, path, body, expected] of cases) {
    it(name, () => {
      const reading = endpointAt(path).readAnswer(Buffer.from(JSON.stringify(body)))
      assert.partialDeepStrictEqual(reading, expected)
      if (reading.isError) assert.deepEqual(reading.passed, { output: 0, reasoning: 0 })
    })
  }
})

describe('what is stated beside the units', () => {
  const chat = '/v1/chat/completions'
  const tokens = { prompt_tokens: 9, completion_tokens: 9 }
  const cases: readonly (readonly [string, string, object, UsageExtras | undefined])[] = [
    ['nothing', chat, { usage: tokens }, undefined],
    [
      'audio and images',
      chat,
      {
        usage: {
          ...tokens,
          prompt_tokens_details: { audio_tokens: 3, image_tokens: 4, text_tokens: 2 },
          completion_tokens_details: { audio_tokens: 5, image_tokens: 1 },
        },
      },
      { audioInput: 3, imageInput: 4, audioOutput: 5, imageOutput: 1 },
    ],
    ['the tier', chat, { service_tier: 'flex', usage: tokens }, { serviceTier: 'flex' }],
    ['no tier', chat, { service_tier: null, usage: tokens }, undefined],
    [
      'sources and tools, each under one name',
      chat,
      {
        usage: {
          ...tokens,
          num_sources_used: 7,
          server_side_tool_usage_details: { web_search_calls: 2, x_search_calls: 1, mcp_calls: 0 },
        },
      },
      { toolRequests: { sources: 7, web_search: 2, x_search: 1 } },
    ],
    [
      'searches',
      chat,
      { usage: { ...tokens, num_search_queries: 3, server_tool_use: { web_search_requests: 1 } } },
      { toolRequests: { search: 3, web_search: 1 } },
    ],
    [
      'tools of the provider',
      '/v1/responses',
      {
        usage: { input_tokens: 1, output_tokens: 1 },
        tool_usage: { image_gen: { input_tokens: 0, output_tokens: 0 }, web_search: { num_requests: 4 } },
      },
      { toolRequests: { web_search: 4 } },
    ],
    [
      'of a message',
      '/v1/messages',
      {
        usage: {
          input_tokens: 1,
          output_tokens: 1,
          service_tier: 'batch',
          cache_creation_input_tokens: 90,
          cache_creation: { ephemeral_1h_input_tokens: 80, ephemeral_5m_input_tokens: 10 },
          server_tool_use: { web_search_requests: 2, web_fetch_requests: 1 },
          iterations: [{ type: 'compaction', cache_creation: { ephemeral_1h_input_tokens: 5 } }],
        },
      },
      { serviceTier: 'batch', cacheWritten1h: 85, toolRequests: { web_search: 2, web_fetch: 1 } },
    ],
    [
      'absurd figures, names and words',
      chat,
      {
        service_tier: 'a"b '.repeat(9),
        usage: {
          ...tokens,
          prompt_tokens_details: { audio_tokens: 2 ** 53, image_tokens: -1 },
          server_tool_use: { ['x'.repeat(99)]: 1, 'a b': 1, fraction: 1.5, far: 1e15, fine: 1 },
        },
      },
      { toolRequests: { fine: 1 } },
    ],
  ]
  for (const [name, path, body, expected] of cases) {
    it(name, () => {
      assert.deepEqual(endpointAt(path).readAnswer(Buffer.from(JSON.stringify(body))).extras, expected)
    })
  }
})

it('estimates the output of an answer without usage from its text', () => {
  const text = 'x'.repeat(400)
  const cases: readonly (readonly [string, unknown, number])[] = [
    [
      '/v1/chat/completions',
      { id: 'y'.repeat(500), choices: [{ message: { role: 'assistant', content: text } }] },
      100,
    ],
    [
      '/v1/chat/completions',
      { choices: [{ message: { role: 'assistant', tool_calls: [{ id: 'c', custom: { input: text } }] } }] },
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
    const { output, reasoning } = endpointAt(path).readAnswer(Buffer.from(JSON.stringify(body))).passed
    assert.equal(output + reasoning, expected)
  }
})

describe('problems', () => {
  const nothing = Buffer.alloc(0)
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
    const first = new OpenAI({ apiKey: 'k', fetch: stream(openai.renderStreamProblem(cut, 'r', nothing)) })
    const chat = await first.chat.completions.create({ model: 'm', messages, stream: true })
    await assert.rejects(drain(chat), (error) => {
      assert.ok(error instanceof OpenAI.APIError && error.code === 'user_disabled')
      assert.partialDeepStrictEqual(error.error, { limit })
      return true
    })
    const responses = await first.responses.create({ model: 'm', input: 'x', stream: true })
    await assert.rejects(drain(responses), OpenAI.APIError)
    const second = new Anthropic({
      apiKey: 'k',
      fetch: stream(anthropic.renderStreamProblem(cut, 'r', nothing)),
    })
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
    root: '/srv/models/seven.gguf',
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
