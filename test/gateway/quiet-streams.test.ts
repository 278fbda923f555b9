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
  json,
  openScripted,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
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
  let upstream: Scripted
  let harness: Harness
  let accessToken: string
  before(async () => {
    upstream = await openScripted(json({}))
    harness = await openHarness(anyDatabase, {
      upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
      gateway: { keepAliveMs: quietMs },
    })
    accessToken = await harness.createUser()
  })
  after(async () => {
    await harness.settle()
    await harness.close()
    await upstream.close()
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
    await setTimeout(3 * quietMs)
  })
})
