import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { constants, createBrotliCompress, createGzip, gzipSync } from 'node:zlib'
import type { UsageExtras } from '#core/usage-extras.ts'
import { call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  done,
  event,
  json,
  messageStart,
  openScripted,
  pieces,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

/** What real providers answer, in the forms that were read wrongly once, and what they charge for it. */

const paths = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  messages: '/v1/messages',
  embeddings: '/v1/embeddings',
} as const
const bodies = {
  chat: { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] },
  responses: { model: 'gpt-4o', input: 'Hi' },
  messages: { model: 'claude-x', max_tokens: 99, messages: [{ role: 'user', content: 'Hi' }] },
  embeddings: { model: 'text-embedding-3-small', input: 'Hi' },
} as const

interface Case {
  readonly name: string
  readonly endpoint?: keyof typeof paths
  readonly body?: object
  readonly script: Script
  /** Undefined where an estimate is charged. */
  readonly used: number | undefined
  readonly extras?: UsageExtras
  readonly errorCode?: string
  /** What the client gets, where that is not what the upstream sent. */
  readonly text?: string
}

const crlf = (text: string) => text.replaceAll('\n', '\r\n')
const streamed = { stream: true }
const asking = { stream: true, stream_options: { include_usage: true } }
const usage = (prompt_tokens: number, completion_tokens: number, more: object = {}) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
  ...more,
})
const answerWith = (stated: object) => json({ ...chatAnswer, usage: stated })
const chunk = (choices: readonly object[], more: object = {}) =>
  event({ id: 'c', object: 'chat.completion.chunk', model: 'm', choices, ...more })
const soFar = (content: string, output: number, finish_reason: string | null = null) =>
  crlf(chunk([{ index: 0, delta: { content }, finish_reason }], { usage: usage(21, output) }))
const oneOf = (index: number, delta: object, finish_reason: string | null = null) =>
  chunk([{ index, delta, finish_reason }])
const emptyBesideUsage = chunk([{ index: 0, delta: {} }], { usage: usage(7, 5) })
const errorEvent = event({ error: { message: 'The engine is overloaded', code: 502 } })

const longEmbedding: Script = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write('{"object":"list","data":[{"embedding":[')
  const numbers = '0.0123456789,'.repeat(80_000)
  const write = (left: number) => {
    if (left > 0) return void response.write(numbers, () => write(left - 1))
    response.end('0]}],"model":"m","usage":{"prompt_tokens":8000,"total_tokens":8000}}')
  }
  write(68)
}

/** The same, compressed to some hundred kilobytes in which nothing stands in one piece. */
const longCoded =
  (coding: 'gzip' | 'br'): Script =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding })
    const compressor =
      coding === 'gzip' ? createGzip({ level: 1 }) : createBrotliCompress({ params: fastBrotli })
    compressor.pipe(response)
    compressor.write('{"object":"list","data":[{"embedding":[')
    const numbers = '0.0123456789,'.repeat(80_000)
    const write = (left: number) => {
      if (left > 0) return void compressor.write(numbers, () => write(left - 1))
      compressor.end('0]}],"model":"m","usage":{"prompt_tokens":8000,"total_tokens":8000}}')
    }
    write(130)
  }
const fastBrotli = { [constants.BROTLI_PARAM_QUALITY]: 1 }

const cases: readonly Case[] = [
  {
    name: 'a message with a compaction beside it',
    endpoint: 'messages',
    script: json({
      type: 'message',
      content: [{ type: 'text', text: 'Hello' }],
      usage: {
        input_tokens: 23_000,
        output_tokens: 1000,
        iterations: [
          { type: 'compaction', input_tokens: 180_000, output_tokens: 3500 },
          { type: 'message', input_tokens: 23_000, output_tokens: 1000 },
        ],
      },
    }),
    used: 207_500,
  },
  {
    name: 'a total above its parts',
    script: answerWith({ prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 }),
    used: 109,
  },
  {
    name: 'more reasoning than completion',
    script: answerWith(usage(2, 9, { completion_tokens_details: { reasoning_tokens: 27 } })),
    used: 38,
  },
  {
    name: 'CRLF, the usage so far on each event, an end without [DONE]',
    body: asking,
    script: pieces([soFar('Hel', 50), soFar('lo', 120), soFar('', 200, 'stop')]),
    used: 221,
  },
  {
    name: 'two answers, each with its own usage, with a pause between them',
    body: { ...asking, n: 2 },
    script: async (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(oneOf(0, { content: 'a' }) + oneOf(1, { content: 'b' }))
      response.write(oneOf(1, {}, 'stop') + chatUsage(14, 7))
      // Longer than the end of a stream is waited for.
      await new Promise((resolve) => setTimeout(resolve, 60))
      response.end(oneOf(0, { content: 'c' }) + oneOf(0, {}, 'length') + chatUsage(14, 112) + done)
    },
    used: 147,
  },
  {
    name: 'usage beside an answer that says nothing',
    body: streamed,
    script: pieces([chatChunk('Hello'), oneOf(0, {}, 'stop'), emptyBesideUsage, done]),
    used: 12,
    text: chatChunk('Hello') + oneOf(0, {}, 'stop') + done,
  },
  {
    name: 'usage beside an answer that says nothing, which the client asked for',
    body: asking,
    script: pieces([chatChunk('Hello'), oneOf(0, {}, 'stop'), emptyBesideUsage, done]),
    used: 12,
  },
  { name: 'no input beside an output', script: answerWith({ completion_tokens: 5 }), used: undefined },
  {
    name: 'an input of null',
    script: answerWith({ prompt_tokens: null, completion_tokens: 5 }),
    used: undefined,
  },
  {
    name: 'an input that is no number',
    script: answerWith({ prompt_tokens: 'many', completion_tokens: 5 }),
    used: undefined,
  },
  {
    name: 'an input that the total tells',
    script: answerWith({ prompt_tokens: null, completion_tokens: 5, total_tokens: 12 }),
    used: 12,
  },
  {
    name: 'figures written as strings',
    script: answerWith({ prompt_tokens: '900', completion_tokens: '5' }),
    used: 905,
  },
  {
    name: 'no input at the end of a stream',
    body: asking,
    script: pieces([chatChunk('Hello'), chunk([], { usage: { completion_tokens: 5 } }), done]),
    used: undefined,
  },
  {
    name: 'no input in a message',
    endpoint: 'messages',
    script: json({ type: 'message', content: [], usage: { input_tokens: null, output_tokens: 40 } }),
    used: undefined,
  },
  {
    name: 'only what was cached of the input of a message',
    endpoint: 'messages',
    script: json({
      type: 'message',
      content: [],
      usage: { input_tokens: null, cache_read_input_tokens: 3, output_tokens: 40 },
    }),
    used: undefined,
  },
  {
    name: 'figures of a message written as strings',
    endpoint: 'messages',
    script: json({ type: 'message', content: [], usage: { input_tokens: '900', output_tokens: '100' } }),
    used: 1000,
  },
  {
    name: 'figures of an iteration written as strings',
    endpoint: 'messages',
    script: json({
      type: 'message',
      content: [],
      usage: {
        input_tokens: 10,
        output_tokens: 5,
        iterations: [{ type: 'compaction', input_tokens: '700', output_tokens: '20' }],
      },
    }),
    used: 735,
  },
  {
    name: 'an iteration without its input',
    endpoint: 'messages',
    script: json({
      type: 'message',
      content: [{ type: 'text', text: 'Hello' }],
      usage: {
        input_tokens: 10,
        output_tokens: 5,
        iterations: [{ type: 'compaction', input_tokens: null, output_tokens: 20 }],
      },
    }),
    used: undefined,
  },
  { name: 'zeros beside text', script: answerWith(usage(0, 0)), used: undefined },
  {
    name: 'zeros at the end of a stream of text',
    body: asking,
    script: pieces([chatChunk('Hello'), chatUsage(0, 0), done]),
    used: undefined,
  },
  {
    name: 'an error as the body',
    script: json({ error: { message: 'The engine is overloaded, and says so at length', code: 502 } }),
    used: 0,
    errorCode: 'upstream_failed',
  },
  {
    name: 'an error as the only event',
    body: asking,
    script: pieces([errorEvent, done]),
    used: 0,
    errorCode: 'upstream_failed',
  },
  {
    name: 'an error as the only event of messages',
    endpoint: 'messages',
    body: streamed,
    script: pieces([event({ type: 'error', error: { type: 'overloaded_error', message: 'no' } }, 'error')]),
    used: 0,
    errorCode: 'upstream_failed',
  },
  {
    name: 'a response that fails',
    endpoint: 'responses',
    body: streamed,
    script: pieces([
      event({ type: 'response.created', response: { status: 'in_progress', usage: null } }),
      event({ type: 'response.failed', response: { status: 'failed', error: { code: 'x' }, usage: null } }),
    ]),
    used: 0,
    errorCode: 'upstream_failed',
  },
  {
    name: 'an error that states usage',
    script: json({ error: { message: 'cut off' }, usage: usage(7, 5) }),
    used: 12,
  },
  {
    name: 'an error after text',
    body: asking,
    script: pieces([chatChunk('Hello'), errorEvent]),
    used: undefined,
  },
  {
    name: 'a media type in capitals',
    body: streamed,
    script: pieces([chatChunk('Hello'), chatUsage(7, 5), done], {
      'content-type': 'Text/Event-Stream; Charset=UTF-8',
    }),
    used: 12,
    text: chatChunk('Hello') + done,
  },
  {
    name: 'events of no media type',
    body: asking,
    script: pieces([chatChunk('Hello'), chatUsage(7, 5), done], { 'content-type': 'text/plain' }),
    used: 12,
  },
  {
    name: 'a coding in capitals',
    script: (_request, response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'GZIP' })
        .end(gzipSync(JSON.stringify(chatAnswer))),
    used: 12,
  },
  {
    name: 'usage so far on each event, compressed',
    body: asking,
    script: (_request, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
        .end(gzipSync(soFar('Hel', 50) + soFar('lo', 200, 'stop'))),
    used: 221,
  },
  { name: 'an embedding of 70 MB', endpoint: 'embeddings', script: longEmbedding, used: 8000 },
  {
    name: 'an embedding of 135 MB, compressed',
    endpoint: 'embeddings',
    script: longCoded('gzip'),
    used: 8000,
  },
  {
    name: 'an embedding of 135 MB, compressed by brotli',
    endpoint: 'embeddings',
    script: longCoded('br'),
    used: 8000,
  },
  {
    name: 'an embedding of zeros',
    endpoint: 'embeddings',
    script: json({ data: [{ embedding: [1] }], usage: { prompt_tokens: 0, total_tokens: 0 } }),
    used: undefined,
  },
  {
    name: 'an image that a tool made',
    endpoint: 'responses',
    script: json({
      status: 'completed',
      output: [],
      service_tier: 'priority',
      tool_usage: {
        image_gen: { input_tokens: 60, output_tokens: 1056, total_tokens: 1116 },
        web_search: { num_requests: 2 },
      },
      usage: { input_tokens: 100, output_tokens: 30, total_tokens: 130 },
    }),
    used: 1246,
    extras: { serviceTier: 'priority', imageOutput: 1056, toolRequests: { web_search: 2 } },
  },
  {
    name: 'searches of messages, in a stream',
    endpoint: 'messages',
    body: streamed,
    script: pieces([
      messageStart(10),
      event({
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 6, server_tool_use: { web_search_requests: 2 }, service_tier: 'standard' },
      }),
    ]),
    used: 16,
    extras: { serviceTier: 'standard', toolRequests: { web_search: 2 } },
  },
]

for (const database of databases) {
  describe(`charged is what the provider charges on ${database.name}`, () => {
    const { harness, upstream } = useGateway(database)

    for (const { name, endpoint = 'chat', body, script, used, extras, errorCode, text } of cases) {
      it(name, async () => {
        let sent = ''
        upstream.script = (request, response, socket) => {
          const write = response.write.bind(response)
          const end = response.end.bind(response)
          response.write = ((bytes: string | Buffer, ...rest: never[]) => {
            sent += bytes.toString('latin1')
            return write(bytes, ...rest)
          }) as typeof response.write
          response.end = ((bytes?: string | Buffer, ...rest: never[]) => {
            if (bytes !== undefined) sent += bytes.toString('latin1')
            return end(bytes, ...rest)
          }) as typeof response.end
          return script(request, response, socket)
        }
        const accessToken = await harness.createUser()
        const answer = await call(harness.port, {
          path: paths[endpoint],
          accessToken,
          body: { ...bodies[endpoint], ...body },
        })
        assert.ok(answer.isWhole)
        if (text === undefined) assert.ok(answer.bytes.toString('latin1') === sent, 'byte for byte')
        else assert.equal(answer.text, text)
        await harness.settle()
        const settlement = harness.settlements.at(-1)
        const charged = await harness.usedBy(accessToken)
        assert.equal(settlement?.isEstimated, used === undefined)
        if (used === undefined) assert.ok(charged > 0 && charged < 100, `charged ${charged}`)
        else assert.equal(charged, used)
        assert.equal(settlement?.errorCode, errorCode)
        assert.equal(settlement?.ending, errorCode === undefined ? 'settled' : 'released')
        if (extras) assert.deepEqual(settlement?.extras, extras)
      })
    }

    it('goes on with a second answer at once, though the first looked like the end', async () => {
      let goOn: () => void = () => {}
      upstream.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(oneOf(0, { content: 'a' }) + oneOf(0, {}, 'stop') + chatUsage(7, 5))
        goOn = () => response.write(oneOf(1, { content: 'second' }))
      }
      const accessToken = await harness.createUser()
      // It asked for one answer, so that the first usage looks like the last word.
      const client = openRaw(harness.port, {
        path: paths.chat,
        accessToken,
        body: { ...bodies.chat, ...asking },
      })
      await waitUntil(() => client.received().includes('"total_tokens":12'), 'the usage has gone out')
      goOn()
      await waitUntil(() => client.received().includes('second'), 'the second has gone out')
      client.hangUp()
      await harness.settle()
    })
  })

  describe(`an answer of status 200 that is an error, on ${database.name}`, () => {
    const [bad, good] = ['bad', 'good'] as const
    let upstreams: Readonly<Record<'bad' | 'good', Scripted>>
    let harness: Harness
    before(async () => {
      upstreams = { bad: await openScripted(() => {}), good: await openScripted(() => {}) }
      harness = await openHarness(database, {
        upstreams: [bad, good].map((name) =>
          upstreamAt(upstreams[name].origin, { provider: 'openai', name }),
        ),
      })
    })
    after(async () => {
      await harness.close()
      for (const { close } of Object.values(upstreams)) await close()
    })
    beforeEach(() => {
      upstreams.good.script = (request, response, socket) =>
        (request.body.includes('"stream":true')
          ? pieces([chatChunk('Hello'), chatUsage(7, 5), done])
          : json(chatAnswer))(request, response, socket)
    })

    const errors: readonly (readonly [string, object, Script])[] = [
      ['as the body', {}, json({ error: { message: 'overloaded' } })],
      [
        'as the body of a known length',
        {},
        (_request, response) => void response.end(JSON.stringify({ error: { message: 'overloaded' } })),
      ],
      ['as the only event', asking, pieces([': connected\n\n', errorEvent, done])],
      ['as the only event, cut in two', asking, pieces([errorEvent.slice(0, 20), errorEvent.slice(20)])],
      ['as the body of a stream', asking, pieces(['{"error":{"message":"overloaded"}}'])],
    ]
    for (const [name, body, script] of errors) {
      it(`${name} gives way to the next upstream`, async () => {
        upstreams.bad.script = script
        const accessToken = await harness.createUser()
        const answer = await call(harness.port, {
          path: paths.chat,
          accessToken,
          body: { ...bodies.chat, ...body },
        })
        assert.equal(answer.status, 200)
        assert.match(answer.text, /Hello/)
        assert.doesNotMatch(answer.text, /overloaded/)
        await harness.settle()
        assert.equal(await harness.usedBy(accessToken), 12)
        assert.equal(harness.settlements.at(-1)?.upstream, 'good')
      })
    }

    it('does not give way once something has gone out', async () => {
      upstreams.bad.script = pieces([chatChunk('first'), errorEvent])
      const accessToken = await harness.createUser()
      const answer = await call(harness.port, {
        path: paths.chat,
        accessToken,
        body: { ...bodies.chat, ...asking },
      })
      assert.equal(answer.text, chatChunk('first') + errorEvent)
    })

    it('is what the client gets where every upstream has one', async () => {
      upstreams.bad.script = upstreams.good.script = pieces([errorEvent])
      const accessToken = await harness.createUser()
      const answer = await call(harness.port, {
        path: paths.chat,
        accessToken,
        body: { ...bodies.chat, ...asking },
      })
      assert.equal(answer.text, errorEvent)
      await harness.settle()
      assert.equal(await harness.usedBy(accessToken), 0)
    })

    it('does not hold a stream back that says nothing for long', async () => {
      upstreams.bad.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(': wait\n\n')
      }
      const accessToken = await harness.createUser()
      const client = openRaw(harness.port, {
        path: paths.chat,
        accessToken,
        body: { ...bodies.chat, ...asking },
      })
      await waitUntil(() => client.received().includes(': wait'), 'the comment has gone out')
      client.hangUp()
      await harness.settle()
    })
  })
}
