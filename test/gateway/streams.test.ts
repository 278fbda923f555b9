import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { call } from '../support/gateway-client.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  done,
  event,
  json,
  messageDelta,
  messageStart,
  messageStop,
  messageText,
  pieces,
  type Script,
} from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

const chat = { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'Hi' }] }
const withUsage = { ...chat, stream_options: { include_usage: true } }
const message = {
  model: 'claude-x',
  stream: true,
  max_tokens: 99,
  messages: [{ role: 'user', content: 'Hi' }],
}

/** What an upstream sends piece by piece, and what its usage comes to. */
interface Case {
  readonly name: string
  readonly pieces: readonly (string | Buffer)[]
  readonly used: number
  readonly isEstimated?: boolean
}

const texts = [chatChunk('Hel'), chatChunk('lo')]
const crlf = (text: string) => text.replaceAll('\n', '\r\n')
const split = (text: string, at: number) => [text.slice(0, at), text.slice(at)]

const chatCases: readonly Case[] = [
  { name: 'one event a packet', pieces: [...texts, chatUsage(7, 5), done], used: 12 },
  { name: 'several events in one packet', pieces: [texts.join('') + chatUsage(7, 5) + done], used: 12 },
  {
    name: 'usage cut in two by packets',
    pieces: [...texts, ...split(chatUsage(70, 55), 90), done],
    used: 125,
  },
  {
    name: 'usage cut within its number',
    pieces: [...texts, ...split(chatUsage(70, 55), chatUsage(70, 55).indexOf('55') + 1), done],
    used: 125,
  },
  { name: 'a byte a packet', pieces: [...(texts.join('') + chatUsage(7, 5) + done)], used: 12 },
  {
    name: 'lines that end in CRLF',
    pieces: [crlf(texts.join('')), crlf(chatUsage(7, 5)), crlf(done)],
    used: 12,
  },
  {
    name: 'comments between events',
    pieces: [': ping\n\n', ...texts, ': "usage":{"prompt_tokens":9}\n\n', chatUsage(7, 5), done],
    used: 12,
  },
  {
    name: 'characters cut by packets',
    pieces: [...splitBytes(chatChunk('日本語 🙂')), chatUsage(7, 5), done],
    used: 12,
  },
  {
    name: 'the word usage in the text',
    pieces: [chatChunk('"usage":{"prompt_tokens":1000,"completion_tokens":1000}'), chatUsage(7, 5), done],
    used: 12,
  },
]

const messageCases: readonly Case[] = [
  {
    name: 'one event a packet',
    pieces: [messageStart(10), messageText('Hello'), messageDelta(6), messageStop],
    used: 16,
  },
  {
    name: 'everything in one packet',
    pieces: [messageStart(10) + messageText('Hello') + messageDelta(6) + messageStop],
    used: 16,
  },
  {
    name: 'usage that grows',
    pieces: [messageStart(10), messageDelta(3), messageDelta(6), messageStop],
    used: 16,
  },
  {
    name: 'pings',
    pieces: [
      messageStart(10),
      event({ type: 'ping' }, 'ping'),
      messageText('x'),
      messageDelta(2),
      messageStop,
    ],
    used: 12,
  },
  {
    name: 'a byte a packet',
    pieces: [...(messageStart(10) + messageText('Hello') + messageDelta(6) + messageStop)],
    used: 16,
  },
]

function splitBytes(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) =>
    bytes.subarray(index * 7, index * 7 + 7),
  )
}

const whole = (list: readonly (string | Buffer)[]) => Buffer.concat(list.map((piece) => Buffer.from(piece)))

for (const database of databases) {
  describe(`streams through the gateway on ${database.name}`, () => {
    let accessToken: string
    const { harness, upstream } = useGateway(database)

    /** Runs one request as a user of its own and answers what came, with what it was charged. */
    async function run(script: Script, path: string, body: unknown) {
      upstream.script = script
      accessToken = await harness.createUser()
      const answer = await call(harness.port, { path, accessToken, body })
      const used = await harness.usedBy(accessToken)
      await harness.settle()
      return { answer, used, settlement: harness.settlements.at(-1) }
    }

    for (const { name, pieces: list, used } of chatCases) {
      it(`chat: passes ${name} byte for byte`, async () => {
        const result = await run(pieces(list), '/v1/chat/completions', withUsage)
        assert.deepEqual(result.answer.bytes, whole(list))
        assert.equal(result.answer.isWhole, true)
        assert.equal(result.used, used)
        assert.equal(result.settlement?.isEstimated, false)
      })

      it(`chat: takes the usage out that only the gateway wanted: ${name}`, async () => {
        const result = await run(pieces(list), '/v1/chat/completions', chat)
        const text = whole(list).toString()
        const expected = text.replace(/data: \{[^\n]*"choices":\[\],"usage":\{[^\n]*\}\r?\n\r?\n/, '')
        assert.ok(expected.length < text.length)
        assert.equal(result.answer.text, expected)
        assert.equal(result.used, used)
        assert.match(upstream.requests.at(-1)?.body ?? '', /"include_usage":true/)
      })
    }

    for (const { name, pieces: list, used } of messageCases) {
      it(`messages: passes ${name} byte for byte`, async () => {
        const result = await run(pieces(list), '/v1/messages', message)
        assert.deepEqual(result.answer.bytes, whole(list))
        assert.equal(result.used, used)
        assert.equal(result.settlement?.isEstimated, false)
      })
    }

    it('estimates a stream that ends well without usage, and says so in the ledger', async () => {
      const list = [...texts, done]
      const { answer, used, settlement } = await run(pieces(list), '/v1/chat/completions', chat)
      assert.deepEqual(answer.bytes, whole(list))
      assert.equal(settlement?.isEstimated, true)
      assert.ok(used > 0 && used < 100, `charged ${used}`)
    })

    it('estimates an answer without usage', async () => {
      const { usage: _, ...silent } = chatAnswer
      const { used, settlement } = await run(json(silent), '/v1/chat/completions', { ...chat, stream: false })
      assert.equal(settlement?.isEstimated, true)
      assert.ok(used > 0 && used < 100, `charged ${used}`)
    })

    const codings: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
      ['gzip', gzipSync],
      ['br', brotliCompressSync],
      ['deflate', deflateSync],
      ['deflate', deflateRawSync],
      ['zstd', zstdCompressSync],
    ]
    for (const [coding, compress] of codings) {
      it(`reads the usage of what is compressed all the same: ${coding} by ${compress.name}`, async () => {
        const stream = compress(whole([...texts, chatUsage(7, 5), done]))
        const headers = { 'content-encoding': coding }
        const half = Math.floor(stream.length / 2)
        const list = [stream.subarray(0, half), stream.subarray(half)]
        const streamed = await run(pieces(list, headers), '/v1/chat/completions', withUsage)
        assert.deepEqual(streamed.answer.bytes, stream)
        assert.equal(streamed.answer.headers['content-encoding'], coding)
        assert.equal(streamed.used, 12)

        const answer = compress(Buffer.from(JSON.stringify(chatAnswer)))
        const length = {
          'content-length': String(answer.length),
          'content-type': 'application/json',
          ...headers,
        }
        const script: Script = (_request, response) => void response.writeHead(200, length).end(answer)
        const plain = await run(script, '/v1/chat/completions', { ...chat, stream: false })
        assert.deepEqual(plain.answer.bytes, answer)
        assert.equal(plain.used, 12)
      })
    }

    it('passes an answer of an unknown coding and estimates it', async () => {
      const script = json(chatAnswer, 200, { 'content-encoding': 'exi' })
      const { answer, used, settlement } = await run(script, '/v1/chat/completions', {
        ...chat,
        stream: false,
      })
      assert.equal(answer.status, 200)
      assert.ok(used > 0)
      assert.equal(settlement?.isEstimated, false, 'it is JSON all the same')
    })

    it('passes broken JSON as it is', async () => {
      const script: Script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": "x", "choices": [')
      }
      const { answer, settlement } = await run(script, '/v1/chat/completions', { ...chat, stream: false })
      assert.equal(answer.text, '{"id": "x", "choices": [')
      assert.equal(settlement?.isEstimated, true)
    })

    it('sends the head of a stream before its first byte', async () => {
      let sayIt: () => void = () => {}
      upstream.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.flushHeaders()
        sayIt = () => response.end(whole([...texts, chatUsage(7, 5), done]))
      }
      accessToken = await harness.createUser()
      const fetched = await fetch(`${harness.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(withUsage),
      })
      assert.equal(fetched.status, 200)
      sayIt()
      assert.equal(await fetched.text(), whole([...texts, chatUsage(7, 5), done]).toString())
    })

    it('books before the client sees the end', async () => {
      const { length } = JSON.stringify(chatAnswer)
      for (const [script, body] of [
        [json(chatAnswer), { ...chat, stream: false }],
        [json(chatAnswer, 200, { 'content-length': String(length) }), { ...chat, stream: false }],
        [pieces([...texts, chatUsage(7, 5), done]), withUsage],
      ] as const) {
        upstream.script = script
        for (let round = 0; round < 20; round += 1) {
          accessToken = await harness.createUser()
          const { isWhole } = await call(harness.port, { path: '/v1/chat/completions', accessToken, body })
          assert.ok(isWhole)
          const { promptCount, quotas } = await harness.userOf(accessToken)
          assert.deepEqual([promptCount, [...quotas.values()][0]?.reserved], [1, 0])
        }
      }
    })
  })
}
