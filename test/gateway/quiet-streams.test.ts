import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import OpenAI from 'openai'
import { call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  done,
  event,
  json,
  openScripted,
  pieces,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { anyDatabase } from '../support/stores.ts'

const comment = ': keep-alive\n\n'
const path = '/v1/chat/completions'
const body = { model: 'gpt-4o', stream: true, stream_options: { include_usage: true }, messages: [] }
const [first, second] = [chatChunk('Hel'), chatChunk('lo')]
const end = chatUsage(7, 5) + done
const quietMs = 40

/** Sends pieces, and is silent for so long after each. */
function slowly(list: readonly string[], headers: Readonly<Record<string, string>> = {}): Script {
  return async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', ...headers })
    response.flushHeaders()
    for (const piece of list) {
      await setTimeout(5 * quietMs)
      response.write(piece)
    }
    response.end()
  }
}

describe('a stream whose upstream is silent', () => {
  let accessToken: string
  const { harness, upstream } = useGateway(anyDatabase, (origin) => ({
    upstreams: [upstreamAt(origin, { provider: 'openai' })],
    gateway: { keepAliveMs: quietMs },
  }))
  before(async () => {
    accessToken = await harness.createUser()
  })

  const ask = () => call(harness.port, { path, accessToken, body })

  it('has comments between its events, and else the bytes that came', async () => {
    upstream.script = slowly([first, second, end])
    const { text } = await ask()
    for (const piece of [first, second])
      assert.ok(text.includes(comment + piece), 'a comment stands before it')
    assert.equal(text.replaceAll(comment, ''), first + second + end)
    assert.ok(!text.split(done)[1], 'nothing comes after its end')
  })

  it('has none within an event, however long that takes', async () => {
    upstream.script = slowly([first.slice(0, 30), first.slice(30, -1), '\n', end])
    const { text } = await ask()
    assert.ok(text.includes(first), 'the event is whole')
    assert.equal(text.replaceAll(comment, ''), first + end)
  })

  it('has none where its length was said, nor in an answer that is no stream', async () => {
    const bytes = first + end
    upstream.script = slowly([first, end], { 'content-length': String(Buffer.byteLength(bytes)) })
    assert.equal((await ask()).text, bytes)
    upstream.script = slowly([JSON.stringify(chatAnswer)], { 'content-type': 'application/json' })
    assert.equal((await ask()).text, JSON.stringify(chatAnswer))
  })

  it('is read by the official client as if nothing had been added', async () => {
    upstream.script = slowly([first, second, end])
    const client = new OpenAI({ apiKey: accessToken, baseURL: `${harness.origin}/v1`, maxRetries: 0 })
    const stream = await client.chat.completions.create({ model: 'gpt-4o', messages: [], stream: true })
    let text = ''
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    assert.equal(text, 'Hello')
  })

  it('gets no more of them when its client has gone', async () => {
    upstream.script = slowly([first, second])
    const connection = openRaw(harness.port, { path, accessToken, body })
    await waitUntil(() => connection.received().includes(comment), 'a comment came')
    connection.hangUp()
    await waitUntil(() => harness.gateway.openRelays() === 0, 'it is booked')
    // A comment that is written now would be written to a connection that has gone, and fail the test as an error.
    await setTimeout(3 * quietMs)
  })
})

describe('a stream whose upstream has not even begun', () => {
  let slow: Scripted
  let next: Scripted
  let harness: Harness
  let accessToken: string
  before(async () => {
    slow = await openScripted(json({}))
    next = await openScripted(slowly([first, end]))
    harness = await openHarness(anyDatabase, {
      upstreams: [
        upstreamAt(slow.origin, { provider: 'openai', name: 'slow', headersTimeoutMs: 20 * quietMs }),
        upstreamAt(next.origin, { provider: 'openai', name: 'next', models: ['gpt-4o'] }),
        upstreamAt(slow.origin, { provider: 'anthropic', name: 'slow-a', headersTimeoutMs: 20 * quietMs }),
      ],
      gateway: { keepAliveMs: quietMs },
    })
    accessToken = await harness.createUser()
  })
  after(async () => {
    await harness.settle()
    await harness.close()
    await slow.close()
    await next.close()
  })

  const late =
    (script: Script): Script =>
    async (request, response, socket) => {
      await setTimeout(5 * quietMs)
      await script(request, response, socket)
    }
  const ask = (model: string, more: object = {}) =>
    call(harness.port, { path, accessToken, body: { ...body, model, ...more } })
  const alone = 'gpt-4'

  it('begins with comments, and goes on as the upstream answers', async () => {
    slow.script = late(slowly([first, second, end]))
    const { status, headers, text } = await ask(alone)
    assert.equal(status, 200)
    assert.match(String(headers['content-type']), /^text\/event-stream/)
    assert.match(String(headers['x-request-id']), /^req_/)
    assert.ok(text.startsWith(comment + comment), 'they came before anything else')
    assert.equal(text.replaceAll(comment, ''), first + second + end)
    await harness.settle()
    const { status: booked, usage } = harness.settlements.at(-1) ?? {}
    assert.deepEqual([booked, usage?.input, usage?.output], [200, 7, 5])
  })

  it('still moves on to the next upstream', async () => {
    for (const failing of [json({}, 503), pieces([event({ error: { message: 'x' } })])]) {
      harness.shiftClock(601_000)
      slow.script = late(failing)
      const { status, text } = await ask('gpt-4o')
      assert.deepEqual([status, text.replaceAll(comment, '')], [200, first + end])
      assert.ok(text.startsWith(comment))
      await harness.settle()
      assert.equal(harness.settlements.at(-1)?.upstream, 'next')
    }
  })

  it('ends with an error event of the protocol, which official clients raise, and costs nothing', async () => {
    const before = await harness.usedBy(accessToken)
    for (const [script, message, code] of [
      [
        json({ error: { message: 'too long a context', type: 'x' } }, 400),
        /too long a context/,
        'bad_request',
      ],
      [json({ error: { message: 'broken' } }, 500), /broken/, 'upstream_failed'],
      [
        json({ error: { message: 'Incorrect API key provided: sk-upstream-secret' } }, 401),
        /refused this gateway/,
        'upstream_failed',
      ],
      [(() => {}) as Script, /in time|time/, 'upstream_timeout'],
    ] as const) {
      harness.shiftClock(601_000)
      slow.script = late(script)
      const client = new OpenAI({ apiKey: accessToken, baseURL: `${harness.origin}/v1`, maxRetries: 0 })
      const read = async () => {
        const stream = await client.chat.completions.create({ model: alone, messages: [], stream: true })
        for await (const _ of stream) assert.fail('nothing came')
      }
      await assert.rejects(read(), (error) => error instanceof OpenAI.APIError && message.test(error.message))
      await harness.settle()
      assert.equal(harness.settlements.at(-1)?.errorCode, code)
      if (code !== 'upstream_timeout') assert.equal(await harness.usedBy(accessToken), before)
    }
  })

  it('is refused as ever where the answer comes sooner, or no stream was asked for', async () => {
    harness.shiftClock(601_000)
    slow.script = json({ error: { message: 'no' } }, 400)
    assert.equal((await ask(alone)).status, 400)
    slow.script = late(json(chatAnswer))
    const { status, text } = await ask(alone, { stream: false, stream_options: undefined })
    assert.deepEqual([status, text], [200, JSON.stringify(chatAnswer)])
  })

  it('ends with an error where something else than a stream comes', async () => {
    slow.script = late(json(chatAnswer))
    const { status, text } = await ask(alone)
    assert.equal(status, 200)
    assert.match(text, /something else than a stream/)
    await harness.settle()
    assert.equal(harness.settlements.at(-1)?.ending, 'settled', 'the upstream has worked')
  })
})
