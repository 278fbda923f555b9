import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { noUsage, type Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import { providers } from '#providers/all.ts'
import type { Endpoint, StreamMeter } from '#providers/provider.ts'

function endpointAt(path: string): Endpoint {
  const found = providers.flatMap(({ endpoints }) => endpoints).find((endpoint) => endpoint.path === path)
  return found ?? assert.fail(path)
}

/** An event of a transcript; `isOurs` marks the one that the gateway has to take out. */
interface Line {
  readonly text: string
  readonly isOurs?: boolean
}

interface Transcript {
  readonly name: string
  readonly path: string
  readonly lines: readonly Line[]
  readonly usage: Usage | undefined
  /** After its last event and a clean end. */
  readonly isComplete: boolean
  readonly extras?: UsageExtras
  readonly isError?: boolean
}

const event = (data: unknown, more: Partial<Line> & { name?: string } = {}): Line => {
  const head = more.name ? `event: ${more.name}\n` : ''
  const text = `${head}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
  return { text, ...(more.isOurs && { isOurs: true }) }
}
const named = (data: { readonly type: string }): Line => event(data, { name: data.type })

const chunk = (more: object) => ({
  id: 'chatcmpl-9',
  object: 'chat.completion.chunk',
  model: 'gpt-4o',
  ...more,
})
const said = (content: string, more: object = { usage: null }) =>
  event(chunk({ choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }], ...more }))
const chose = (index: number, delta: object, finish_reason: string | null = null) =>
  event(chunk({ choices: [{ index, delta, finish_reason }] }))
const chatUsage = {
  prompt_tokens: 100,
  completion_tokens: 30,
  total_tokens: 130,
  prompt_tokens_details: { cached_tokens: 64, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 10 },
}
const usage: Usage = { input: 36, cacheRead: 64, cacheWritten: 0, output: 20, reasoning: 10 }
const chat = '/v1/chat/completions'
const done = event('[DONE]')
const ours = event(chunk({ choices: [], usage: chatUsage }), { isOurs: true })
const tricky = 'He said: "usage":{"prompt_tokens":1} \\ \n\ndata: {"choices":[],"usage":{}} é語😀'

const response = (more: object) => ({ response: { id: 'resp_1', object: 'response', tools: [], ...more } })
const responseUsage = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 64 },
  output_tokens: 30,
  output_tokens_details: { reasoning_tokens: 10 },
  total_tokens: 130,
}
const toolWithUsage = { type: 'function', parameters: { properties: { usage: { input_tokens: 5 } } } }

const messageStart = named({
  type: 'message_start',
  message: {
    id: 'msg_1',
    content: [],
    stop_reason: null,
    usage: { input_tokens: 25, cache_creation_input_tokens: 7, cache_read_input_tokens: 3, output_tokens: 1 },
  },
} as { type: string })
const spoken = (text: string) =>
  named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } } as { type: string })
const messageDelta = (usage: object, stop_reason: string | null = 'end_turn') =>
  named({ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage } as { type: string })
const ping = named({ type: 'ping' })

const transcripts: readonly Transcript[] = [
  {
    name: 'chat with the usage that was asked for',
    path: chat,
    lines: [said(''), said('Hel'), said('lo'), said(tricky), ours, done],
    usage,
    isComplete: true,
  },
  {
    name: 'chat with cumulative usage in every chunk',
    path: chat,
    lines: [
      said('a', { usage: { prompt_tokens: 100, completion_tokens: 1 } }),
      said('b', { usage: { prompt_tokens: 100, completion_tokens: 2 } }),
      ours,
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat with usage in the last chunk that has choices',
    path: chat,
    lines: [said('a'), said('b', { usage: chatUsage }), done],
    usage,
    isComplete: true,
  },
  {
    name: 'chat with the usage so far on each event that ends without [DONE]',
    path: chat,
    lines: [
      said('a', { usage: { prompt_tokens: 100, completion_tokens: 1, total_tokens: 101 } }),
      event(
        chunk({ choices: [{ index: 0, delta: { content: 'b' }, finish_reason: 'stop' }], usage: chatUsage }),
      ),
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat that ends without a last figure for its text',
    path: chat,
    lines: [said('a', { usage: { prompt_tokens: 100, completion_tokens: 0, total_tokens: 100 } }), said('b')],
    usage: { ...noUsage, input: 100 },
    isComplete: false,
  },
  {
    name: 'two answers, each with an event of usage',
    path: chat,
    lines: [
      chose(0, { content: 'a' }),
      chose(1, { content: 'b' }),
      chose(1, {}, 'length'),
      event(chunk({ choices: [], usage: { prompt_tokens: 14, completion_tokens: 7, total_tokens: 21 } }), {
        isOurs: true,
      }),
      chose(0, { content: 'c' }),
      chose(0, {}, 'length'),
      event(chunk({ choices: [], usage: { prompt_tokens: 14, completion_tokens: 112, total_tokens: 126 } }), {
        isOurs: true,
      }),
      done,
    ],
    usage: { ...noUsage, input: 28, output: 119 },
    isComplete: true,
  },
  {
    name: 'one figure that is stated twice',
    path: chat,
    lines: [said('a'), chose(0, {}, 'stop'), ours, ours, done],
    usage,
    isComplete: true,
  },
  {
    name: 'chat whose usage comes beside an answer that says nothing',
    path: chat,
    lines: [
      said('a'),
      chose(0, {}, 'stop'),
      event(chunk({ choices: [{ index: 0, delta: {} }], usage: chatUsage }), { isOurs: true }),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat whose usage comes beside an answer of nulls, and before it',
    path: chat,
    lines: [
      event(
        { usage: chatUsage, choices: [{ finish_reason: null, delta: { content: null }, index: 0 }] },
        {
          isOurs: true,
        },
      ),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat whose usage comes beside an end, an empty text or a role',
    path: chat,
    lines: [
      event(chunk({ choices: [{ index: 0, delta: { role: 'assistant' } }], usage: chatUsage })),
      event(chunk({ choices: [{ index: 0, delta: { content: '' } }], usage: chatUsage })),
      event(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: chatUsage })),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat with usage in x_groq',
    path: chat,
    lines: [
      event(chunk({ choices: [{ index: 0, delta: { role: 'assistant' } }], x_groq: { id: 'req_1' } })),
      said('a'),
      event(
        chunk({
          choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
          x_groq: { id: 'req_1', usage: { ...chatUsage, queue_time: 0.1 } },
        }),
      ),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat with usage within the choice that ends',
    path: chat,
    lines: [
      said('a'),
      event(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop', usage: chatUsage }] })),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat whose last figures are less than what was stated',
    path: chat,
    lines: [
      said('a', { usage: chatUsage }),
      event(chunk({ choices: [], usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }), {
        isOurs: true,
      }),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'an error alone',
    path: chat,
    lines: [{ text: ': connected\n\n' }, event({ error: { message: 'overloaded', code: 502 } }), done],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an error with usage that has no figures',
    path: chat,
    lines: [event({ error: { message: 'overloaded', code: 502 }, usage: {} }), done],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an error with usage of zeros',
    path: chat,
    lines: [
      event({ error: { message: 'overloaded' }, usage: { prompt_tokens: 0, completion_tokens: 0 } }),
      done,
    ],
    usage: noUsage,
    isComplete: true,
    isError: true,
  },
  {
    name: 'an error within its choice',
    path: chat,
    lines: [
      event(
        chunk({
          choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error', error: { code: 502 } }],
        }),
      ),
    ],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an error in a word',
    path: chat,
    lines: [event({ error: 'Model is overloaded', error_type: 'overloaded' })],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an error by its object',
    path: chat,
    lines: [event({ object: 'error', message: 'out of memory', code: 500 })],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an error by the name of its event',
    path: chat,
    lines: [{ text: 'event: error\ndata: {"message":"overloaded"}\n\n' }],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'an event of which the name only starts like an error',
    path: chat,
    lines: [{ text: 'event: errors\ndata: {"message":"fine"}\n\n' }, { text: 'event: err\ndata: {}\n\n' }],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'no events, but an error as the body',
    path: chat,
    lines: [{ text: '{\n "error": {"message": "overloaded"}}\n' }],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'no events, but a whole answer',
    path: chat,
    lines: [{ text: JSON.stringify({ choices: [{ message: { content: 'hello' } }], usage: chatUsage }) }],
    usage,
    isComplete: true,
  },
  {
    name: 'an error of which nothing is said, and one after text',
    path: chat,
    lines: [event(chunk({ choices: [], error: null })), said('a'), event({ error: { message: 'late' } })],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'responses that fail at once',
    path: '/v1/responses',
    lines: [
      named({ type: 'response.created', ...response({ status: 'in_progress', usage: null, error: null }) }),
      named({
        type: 'response.failed',
        ...response({ status: 'failed', error: { code: 'server_error' }, usage: null }),
      }),
    ],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'responses that are an error',
    path: '/v1/responses',
    lines: [
      named({ type: 'error', code: 'server_error', message: 'no', sequence_number: 0 } as { type: string }),
    ],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'responses that state figures at their start',
    path: '/v1/responses',
    lines: [
      named({
        type: 'response.created',
        ...response({
          status: 'in_progress',
          usage: { input_tokens: 100, output_tokens: 0, total_tokens: 100 },
        }),
      }),
    ],
    usage: { ...noUsage, input: 100 },
    isComplete: false,
  },
  {
    name: 'responses in which a tool made an image',
    path: '/v1/responses',
    lines: [
      named({
        type: 'response.completed',
        ...response({
          status: 'completed',
          service_tier: 'flex',
          tool_usage: {
            image_gen: {
              input_tokens: 60,
              input_tokens_details: { image_tokens: 12, text_tokens: 48 },
              output_tokens: 1056,
              output_tokens_details: { image_tokens: 1056, text_tokens: 0 },
              total_tokens: 1116,
            },
            web_search: { num_requests: 2 },
          },
          usage: responseUsage,
        }),
      }),
    ],
    usage: { ...usage, input: usage.input + 60, output: usage.output + 1056 },
    extras: { serviceTier: 'flex', toolRequests: { web_search: 2 }, imageInput: 12, imageOutput: 1056 },
    isComplete: true,
  },
  {
    name: 'chat whose first chunk has neither choices nor usage',
    path: chat,
    lines: [
      event(chunk({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] })),
      event(chunk({ choices: [], usage: null })),
      { text: ': OPENROUTER "PROCESSING\n\n' },
      { text: '\n' },
      { text: 'retry: 3000\nid: 7\n\n' },
      said('a'),
      event(chunk({ usage: chatUsage, choices: [] }), { isOurs: true }),
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'chat without usage, with an error',
    path: chat,
    lines: [said('a'), event({ error: { message: 'overloaded', usage: { prompt_tokens: 9 } } })],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'chat laid out in several lines of data',
    path: chat,
    lines: [
      said('a'),
      {
        text: 'data:{"choices" : [ ] ,\ndata: "usage"  :  {"prompt_tokens" :100,\ndata:"completion_tokens": 30,"completion_tokens_details":{"reasoning_tokens":10},\ndata: "prompt_tokens_details":{"cached_tokens":64} } }\n\n',
        isOurs: true,
      },
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'tool arguments that hold usage',
    path: chat,
    lines: [
      event(
        chunk({
          choices: [{ index: 0, delta: { tool_calls: [{ function: { arguments: '{"usage":{"a":1}}' } }] } }],
          meta: { usage: { prompt_tokens: 7, completion_tokens: 7 } },
        }),
      ),
      ours,
      done,
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'figures that are not valid counts',
    path: chat,
    lines: [
      said('a', { usage: { prompt_tokens: -1, completion_tokens: 'x' } }),
      event(chunk({ choices: [], usage: { prompt_tokens: 1.5 } }), { isOurs: true }),
      done,
    ],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'cumulative figures of which the last are beyond the bound',
    path: chat,
    lines: [
      said('a', { usage: { prompt_tokens: 7, completion_tokens: 1 } }),
      said('b', { usage: { prompt_tokens: 7, completion_tokens: 2 ** 53 } }),
      done,
    ],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'responses',
    path: '/v1/responses',
    lines: [
      named({ type: 'response.created', ...response({ usage: null, tools: [toolWithUsage] }) }),
      named({ type: 'response.output_text.delta', delta: 'Hel', sequence_number: 1 } as { type: string }),
      named({ type: 'response.output_text.delta', delta: tricky, sequence_number: 2 } as { type: string }),
      named({ type: 'response.output_text.done', text: `Hel${tricky}` } as { type: string }),
      named({ type: 'response.completed', ...response({ tools: [toolWithUsage], usage: responseUsage }) }),
    ],
    usage,
    isComplete: true,
  },
  {
    name: 'responses that end incomplete',
    path: '/v1/responses',
    lines: [named({ type: 'response.incomplete', ...response({ usage: responseUsage, user: null }) })],
    usage,
    isComplete: true,
  },
  {
    name: 'responses that were cut off',
    path: '/v1/responses',
    lines: [named({ type: 'response.created', ...response({ usage: null }) })],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'messages',
    path: '/v1/messages',
    lines: [
      messageStart,
      ping,
      spoken('Hel'),
      spoken(tricky),
      messageDelta({ output_tokens: 5 }, null),
      messageDelta({ output_tokens: 15, output_tokens_details: { thinking_tokens: 4 } }),
      named({ type: 'message_stop' }),
    ],
    usage: { input: 25, cacheRead: 3, cacheWritten: 7, output: 11, reasoning: 4 },
    isComplete: true,
  },
  {
    name: 'messages whose end restates the input',
    path: '/v1/messages',
    lines: [messageStart, messageDelta({ input_tokens: 40, cache_read_input_tokens: 0, output_tokens: 15 })],
    usage: { input: 40, cacheRead: 0, cacheWritten: 7, output: 15, reasoning: 0 },
    isComplete: true,
  },
  {
    name: 'messages whose end says how much of the input came from a cache',
    path: '/v1/messages',
    lines: [
      named({ type: 'message_start', message: { usage: { input_tokens: 1000, output_tokens: 1 } } } as {
        type: string
      }),
      messageDelta({ input_tokens: 50, cache_read_input_tokens: 900, output_tokens: 5 }),
    ],
    usage: { input: 50, cacheRead: 900, cacheWritten: 0, output: 5, reasoning: 0 },
    isComplete: true,
  },
  {
    name: 'messages whose output is beyond the bound',
    path: '/v1/messages',
    lines: [messageStart, messageDelta({ output_tokens: 5 }, null), messageDelta({ output_tokens: 2 ** 53 })],
    usage: undefined,
    isComplete: false,
  },
  {
    name: 'messages with what ran beside the answer',
    path: '/v1/messages',
    lines: [
      messageStart,
      spoken('Hel'),
      messageDelta({
        input_tokens: 23_000,
        output_tokens: 1000,
        server_tool_use: { web_search_requests: 3, web_fetch_requests: 0 },
        service_tier: 'priority',
        cache_creation: { ephemeral_1h_input_tokens: 5, ephemeral_5m_input_tokens: 2 },
        iterations: [
          { type: 'compaction', input_tokens: 180_000, output_tokens: 3500 },
          { type: 'message', input_tokens: 23_000, output_tokens: 1000 },
        ],
      }),
    ],
    usage: { input: 203_000, cacheRead: 3, cacheWritten: 7, output: 4500, reasoning: 0 },
    extras: { toolRequests: { web_search: 3 }, serviceTier: 'priority', cacheWritten1h: 5 },
    isComplete: true,
  },
  {
    name: 'messages whose end takes the input back',
    path: '/v1/messages',
    lines: [messageStart, messageDelta({ input_tokens: 0, output_tokens: 15 })],
    usage: { input: 25, cacheRead: 3, cacheWritten: 7, output: 15, reasoning: 0 },
    isComplete: true,
  },
  {
    name: 'messages that are an error',
    path: '/v1/messages',
    lines: [
      ping,
      named({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } } as {
        type: string
      }),
    ],
    usage: undefined,
    isComplete: false,
    isError: true,
  },
  {
    name: 'messages that were cut off',
    path: '/v1/messages',
    lines: [messageStart, spoken('Hel')],
    usage: { input: 25, cacheRead: 3, cacheWritten: 7, output: 1, reasoning: 0 },
    isComplete: false,
  },
]

const lineEnds = ['\n', '\r\n', '\r'] as const

function render(lines: readonly Line[], lineEnd: string): Buffer {
  return Buffer.from(lines.map(({ text }) => text.replaceAll('\n', lineEnd)).join(''))
}

function pushAll(meter: StreamMeter, chunks: readonly Buffer[]): Buffer {
  const passed = chunks.map((piece) => Buffer.from(meter.push(piece)))
  return Buffer.concat([...passed, meter.end()])
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return ends.map((end, at) => bytes.subarray(ends[at - 1] ?? 0, end))
}

for (const transcript of transcripts) {
  describe(transcript.name, () => {
    const endpoint = endpointAt(transcript.path)
    const takesOut = transcript.path === chat
    for (const withholdsUsage of takesOut ? [false, true] : [false]) {
      const what = withholdsUsage ? 'without the usage event' : 'byte for byte'
      it(`passes ${what} and is read alike, wherever it is cut`, () => {
        const kept = transcript.lines.filter(({ isOurs }) => !(isOurs && withholdsUsage))
        const estimates = new Set<string>()
        const check = (lineEnd: string, places: readonly number[]): void => {
          const meter = endpoint.openStream({ withholdsUsage })
          const passed = pushAll(meter, cut(render(transcript.lines, lineEnd), places))
          assert.equal(passed.toString(), render(kept, lineEnd).toString())
          assert.deepEqual(meter.usage(), transcript.usage)
          assert.equal(meter.isComplete(), transcript.isComplete)
          assert.equal(meter.isError(), transcript.isError ?? false)
          assert.deepEqual(meter.extras(), transcript.extras)
          estimates.add(JSON.stringify(meter.passed()))
        }
        for (const lineEnd of lineEnds) {
          check(lineEnd, [])
          const { length } = render(transcript.lines, lineEnd)
          check(
            lineEnd,
            Array.from({ length }, (_, at) => at),
          )
          for (let at = 0; at < length; at += 1) check(lineEnd, [at])
        }
        const places = fc.array(fc.nat(), { maxLength: 12 })
        fc.assert(fc.property(fc.constantFrom(...lineEnds), places, check), { numRuns: 200 })
        assert.equal(estimates.size, 1, 'the estimate must not depend on the cuts')
      })
    }

    it('hands on the very same buffer where nothing is taken out', () => {
      const meter = endpoint.openStream({ withholdsUsage: false })
      // An error is held to its end.
      const text = render(transcript.lines, '\n').toString()
      const hasError = transcript.isError || /"error": ?["{]|"type": ?"error"|event: ?error/.test(text)
      // As a body it has none before the stream's.
      if (hasError && text.startsWith('{')) return
      for (const piece of cut(render(transcript.lines, '\n'), hasError ? [] : [5, 50, 51, 200])) {
        assert.equal(meter.push(piece), piece)
      }
    })
  })
}

describe('the end', () => {
  const eventsOf = (lines: readonly Line[], answers: number) => {
    const meter = endpointAt(chat).openStream({ withholdsUsage: false, answers })
    return lines.map((line) => {
      meter.push(Buffer.from(line.text))
      return [meter.isComplete(), meter.isOver()]
    })
  }

  it('of a stream that broke off in cumulative usage is not known', () => {
    assert.deepEqual(eventsOf([said('a', { usage: chatUsage })], 1), [[false, false]])
  })

  it('of one answer is its usage, if nothing more comes, and [DONE] for certain', () => {
    const lines = [said('a'), ours, said('b'), ours, done]
    const [open, last, over] = [
      [false, false],
      [true, false],
      [true, true],
    ]
    assert.deepEqual(eventsOf(lines, 1), [open, last, open, last, over])
  })

  it('of two answers is not the usage of the first', () => {
    const lines = [chose(0, { content: 'a' }), chose(0, {}, 'stop'), ours, chose(1, {}, 'stop'), ours]
    const seen = eventsOf(lines, 2).map(([isComplete]) => isComplete)
    assert.deepEqual(seen, [false, false, false, false, true])
  })

  it('of one answer never adds figures up, whatever comes behind them', () => {
    const meter = endpointAt(chat).openStream({ withholdsUsage: false, answers: 1 })
    for (const { text } of [chose(0, {}, 'stop'), ours, chose(0, {}, 'stop'), ours])
      meter.push(Buffer.from(text))
    assert.deepEqual(meter.usage(), usage)
  })
})

describe('an error that speaks of the operator', () => {
  const open = () => endpointAt(chat).openStream({ withholdsUsage: false })
  const error = (message: string) => `data: {"error":{"message":${JSON.stringify(message)},"code":null}}\n\n`

  it('loses the operator names, wherever it is cut', () => {
    const text = said('a').text + error('Rate limit in organization org-abcdef123456') + said('b').text
    for (let at = 0; at < text.length; at += 1) {
      const passed = pushAll(open(), cut(Buffer.from(text), [at])).toString()
      assert.equal(passed, text.replace('org-abcdef123456', '(hidden)'))
    }
  })

  it('does not pass where it is about the account, nor does what comes after it, wherever it is cut', () => {
    const bad = error('You exceeded your current quota, org-abcdef123456')
    const before = said('a').text
    for (const text of [before + bad + said('b').text, before + bad.trimEnd()])
      for (let at = 0; at < text.length; at += 1) {
        const meter = open()
        const passed = pushAll(meter, cut(Buffer.from(text), [at])).toString()
        assert.equal(meter.refusal(), 'account')
        assert.ok(text.startsWith(passed))
        assert.doesNotMatch(passed, /quota|org-|message/)
      }
  })
})

describe('withholding', () => {
  const open = () => endpointAt(chat).openStream({ withholdsUsage: true })

  it('hands on the very same buffer while whole events pass', () => {
    const meter = open()
    const bytes = render([said('a'), said('b')], '\n')
    assert.equal(meter.push(bytes), bytes)
  })

  it('holds an event back no longer than until its choices say something', () => {
    const meter = open()
    const [bytes] = [Buffer.from(said('hello').text)]
    const seen = bytes.indexOf('"hello') + 1
    assert.equal(meter.push(bytes.subarray(0, seen - 3)).length, 0)
    assert.equal(meter.push(bytes.subarray(seen - 3, seen)).toString(), bytes.toString('utf8', 0, seen))
    assert.equal(meter.push(bytes.subarray(seen)).toString(), bytes.toString('utf8', seen))
  })

  it('gives back what it holds when the upstream ends in the middle of an event', () => {
    const meter = open()
    const bytes = Buffer.from(ours.text)
    assert.equal(meter.push(bytes.subarray(0, 40)).length, 0)
    assert.equal(meter.end().toString(), bytes.toString('utf8', 0, 40))
  })

  it('takes the usage event out even if its blank line never comes', () => {
    const meter = open()
    const bytes = Buffer.from(ours.text)
    assert.equal(meter.push(bytes.subarray(0, -2)).length, 0)
    assert.equal(meter.end().length, 0)
    assert.deepEqual(meter.usage(), usage)
  })

  it('lets an endless event through, whole and in order', () => {
    const meter = open()
    const bytes = Buffer.from(
      `data: {"id":"${'x'.repeat(40 * 1024 * 1024)}","choices":[],"usage":{"prompt_tokens":1}}\n\n`,
    )
    const pieces = cut(
      bytes,
      Array.from({ length: 700 }, (_, at) => at * 65_536),
    )
    assert.ok(pushAll(meter, pieces).equals(bytes))
  })

  it('takes time in proportion to an event of megabytes that comes in small pieces', () => {
    const meter = open()
    const bytes = Buffer.from(
      `data: {"choices":[],"pad":"${'x'.repeat(8_000_000)}","usage":{"prompt_tokens":1}}\n\n`,
    )
    const startedAt = performance.now()
    assert.equal(
      pushAll(
        meter,
        cut(
          bytes,
          Array.from({ length: 8000 }, (_, at) => at * 1000),
        ),
      ).length,
      0,
    )
    assert.ok(performance.now() - startedAt < 2000)
    assert.equal(meter.usage()?.input, 1)
  })
})

describe('output estimate', () => {
  const cases: readonly (readonly [string, string, readonly Line[], number])[] = [
    ['a unit an event at least', chat, [said('a'), said('b'), said('c')], 3],
    ['nothing for empty text', chat, [said(''), said('')], 0],
    ['a quarter of ASCII', chat, [said('x'.repeat(400))], 100],
    ['a third of the rest', chat, [said('語'.repeat(100))], 100],
    ['an escape as one byte', chat, [said('\n'.repeat(400))], 100],
    [
      'a value after a blank',
      chat,
      [{ text: `data: {"choices": [{"delta": {"content": "${'x'.repeat(40)}"}}]}\n\n` }],
      10,
    ],
    ['reasoning', chat, [event(chunk({ choices: [{ delta: { reasoning_content: 'x'.repeat(40) } }] }))], 10],
    ['legacy text', '/v1/completions', [event({ choices: [{ text: 'x'.repeat(40), index: 0 }] })], 10],
    [
      'tool input',
      '/v1/messages',
      [named({ type: 'd', delta: { partial_json: 'x'.repeat(40) } } as { type: string })],
      10,
    ],
    [
      'text that is not finished',
      chat,
      [{ text: `data: {"choices":[{"delta":{"content":"${'x'.repeat(40)}` }],
      10,
    ],
  ]
  for (const [name, path, lines, expected] of cases) {
    it(`counts ${name}`, () => {
      const meter = endpointAt(path).openStream({ withholdsUsage: false })
      meter.push(render(lines, '\n'))
      const { output, reasoning } = meter.passed()
      assert.equal(output + reasoning, expected)
    })
  }
})

describe('output of a stream that is cut off', () => {
  const [events, size] = [20, 200]
  const piece = 'x'.repeat(size)
  const base64 = (events * size) / 1000
  const whole = (events * size) / 4
  const passedOf = (path: string, line: Line, pieceBytes = 0): number => {
    const meter = endpointAt(path).openStream({ withholdsUsage: false })
    const bytes = render(
      Array.from({ length: events }, () => line),
      '\n',
    )
    if (pieceBytes === 0) meter.push(bytes)
    else for (let at = 0; at < bytes.length; at += pieceBytes) meter.push(bytes.subarray(at, at + pieceBytes))
    const { output, reasoning } = meter.passed()
    return output + reasoning
  }
  const delta = (value: object) =>
    event(chunk({ choices: [{ index: 0, delta: value, finish_reason: null }] }))
  const responses = (type: string, more: object = { delta: piece }) =>
    named({ type, item_id: 'item_1', output_index: 0, ...more, obfuscation: 'abcdef' } as { type: string })
  const block = (value: object) => named({ type: 'content_block_delta', delta: value } as { type: string })
  const cases: readonly (readonly [string, string, Line, number])[] = [
    ['content', chat, delta({ content: piece }), whole],
    [
      'input of a custom tool',
      chat,
      delta({
        tool_calls: [{ index: 0, id: 'call_1', type: 'custom', custom: { name: 'run', input: piece } }],
      }),
      whole,
    ],
    ['a transcript', chat, delta({ audio: { id: 'audio_1', transcript: piece } }), whole],
    ['audio', chat, delta({ audio: { id: 'audio_1', data: piece } }), base64],
    ['an image', chat, delta({ images: [{ type: 'image_url', image_url: { url: piece } }] }), base64],
    ['thinking', chat, delta({ thinking: piece }), whole],
    ['reasoning text', chat, delta({ reasoning_text: piece }), whole],
    [
      'a member not met before',
      chat,
      delta({ role: 'assistant', musing: [{ deep: { words: piece } }] }),
      whole,
    ],
    ['a summary', chat, delta({ reasoning_details: [{ type: 'reasoning.summary', summary: piece }] }), whole],
    [
      'reasoning that is told twice, once',
      chat,
      delta({
        content: '',
        reasoning: piece,
        reasoning_details: [{ type: 'reasoning.text', text: piece, format: 'anthropic-claude-v1', index: 0 }],
      }),
      whole,
    ],
    [
      'a block of thinking beside it, once',
      chat,
      delta({ reasoning_content: piece, thinking_blocks: [{ thinking: piece }] }),
      whole,
    ],
    ['no label', chat, delta({ role: piece, tool_calls: [{ id: piece, type: piece }] }), 0],
    [
      'no source',
      chat,
      delta({ annotations: [{ url_citation: { url: piece, title: piece, content: piece } }] }),
      0,
    ],
    [
      'nothing beside the delta',
      chat,
      event(chunk({ choices: [{ delta: {} }], url: piece, data: piece, note: piece })),
      0,
    ],
    ...[
      'output_text',
      'refusal',
      'function_call_arguments',
      'custom_tool_call_input',
      'reasoning_text',
      'reasoning_summary_text',
      'audio.transcript',
      'code_interpreter_call_code',
      'mcp_call_arguments',
      'shell_call_output_content',
    ].map((kind) => [kind, '/v1/responses', responses(`response.${kind}.delta`), whole] as const),
    [
      'text in an object',
      '/v1/responses',
      responses('response.x.delta', { delta: { stdout: piece } }),
      whole,
    ],
    ['audio of a response', '/v1/responses', responses('response.audio.delta'), base64],
    [
      'an image of a response',
      '/v1/responses',
      responses('response.image_generation_call.partial_image', { partial_image_b64: piece }),
      base64,
    ],
    ['a compaction', '/v1/messages', block({ type: 'compaction_delta', content: piece }), whole],
    ['thinking of a message', '/v1/messages', block({ type: 'thinking_delta', thinking: piece }), whole],
    ['input of a tool', '/v1/messages', block({ type: 'input_json_delta', partial_json: piece }), whole],
    ['no signature', '/v1/messages', block({ type: 'signature_delta', signature: piece }), 0],
    [
      'no citation',
      '/v1/messages',
      block({
        type: 'citations_delta',
        citation: { type: 'char_location', cited_text: piece, title: piece },
      }),
      0,
    ],
  ]
  for (const [name, path, line, expected] of cases) {
    it(`counts ${name}, wherever it is cut`, () => {
      for (const pieceBytes of [0, 1, 7, 64]) assert.equal(passedOf(path, line, pieceBytes), expected)
    })
  }
})

it('is not put out of step by lines that are no JSON', () => {
  const closed = 'data: "open\nevent: "x\n: it\'s "\ndata: }}}]]{"\n\n'
  const junk = `${closed}data: {"a":{"b":[\n\ndata: "backslash\\\n\n`
  const meter = endpointAt(chat).openStream({ withholdsUsage: true })
  const passed = pushAll(meter, [Buffer.from(junk + ours.text + done.text)])
  assert.equal(passed.toString(), junk + done.text)
  assert.deepEqual(meter.usage(), usage)
})
