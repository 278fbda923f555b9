import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  constants,
  createBrotliCompress,
  createDeflate,
  createDeflateRaw,
  createGzip,
  createZstdCompress,
  gunzipSync,
  gzipSync,
} from 'node:zlib'
import { type Answer, call, openRaw, readOn } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
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
  openScripted,
  pieces,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

const chat = {
  path: '/v1/chat/completions',
  body: { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
}
const asking = { ...chat, body: { ...chat.body, stream_options: { include_usage: true } } }
const message = {
  path: '/v1/messages',
  body: { model: 'claude-x', stream: true, max_tokens: 99, messages: [{ role: 'user', content: 'Hi' }] },
}
type Request = typeof chat

const fastBrotli = { [constants.BROTLI_PARAM_QUALITY]: 4 }
const codings = [
  ['gzip', createGzip],
  ['X-GZip', createGzip],
  ['identity, gzip', createGzip],
  ['br', () => createBrotliCompress({ params: fastBrotli })],
  ['deflate', createDeflate],
  ['deflate', createDeflateRaw],
  ['zstd', createZstdCompress],
] as const
type Compressor = ReturnType<(typeof codings)[number][1]>

/** Compresses a stream as servers do, so that each event can be decoded when it comes: its pieces, one for each event. */
async function compress(events: readonly string[], compressor: Compressor = createGzip()): Promise<Buffer[]> {
  const list: Buffer[] = []
  let chunks: Buffer[] = []
  compressor.on('data', (chunk: Buffer) => chunks.push(chunk))
  for (const text of events) {
    await new Promise<void>((resolve) => compressor.write(text, () => compressor.flush(() => resolve())))
    list.push(Buffer.concat(chunks))
    chunks = []
  }
  await new Promise<void>((resolve) => compressor.end().on('end', () => resolve()))
  return [...list, ...chunks]
}

const texts = [chatChunk('Hel'), chatChunk('lo')]
const error = (about: object) => event({ error: about })
const named = { message: 'Rate limit reached in organization org-operator123.', code: 'rate_limit_exceeded' }
const quotaSpent = error({ message: 'Quota of org-operator123 is spent.', code: 'insufficient_quota' })

const coded =
  (list: readonly Buffer[], coding = 'gzip'): Script =>
  async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': coding })
    for (const piece of list) {
      response.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  }
const bytewise = (list: readonly Buffer[]) => [...Buffer.concat(list)].map((byte) => Buffer.from([byte]))
/** What a client can read of an answer that broke off. */
const readable = (bytes: Buffer) => gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString()

for (const database of databases) {
  describe(`streams that come compressed on ${database.name}`, () => {
    let upstream: Scripted
    let second: Scripted
    let harness: Harness
    let pair: Harness
    before(async () => {
      upstream = await openScripted(() => {})
      second = await openScripted(json(chatAnswer))
      const first = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(upstream.origin, { provider, name: `first-${provider}` }),
      )
      harness = await openHarness(database, { upstreams: first })
      pair = await openHarness(database, {
        upstreams: [...first, upstreamAt(second.origin, { provider: 'openai', name: 'second' })],
      })
    })
    after(async () => {
      await harness.close()
      await pair.close()
      await upstream.close()
      await second.close()
    })

    async function ask(request: Request | typeof message, script: Script, by = harness) {
      // What an earlier failure had rest is over.
      by.shiftClock(601_000)
      upstream.script = script
      const accessToken = await by.createUser()
      const answer = await call(by.port, { ...request, accessToken })
      await by.settle()
      const used = await by.usedBy(accessToken)
      return { answer, used, settlement: by.settlements.at(-1) }
    }

    function assertHidden({ text, bytes, headers }: Answer, by = harness) {
      const shown = headers['content-encoding'] === 'gzip' && bytes.length > 0 ? readable(bytes) : text
      assert.doesNotMatch(shown + JSON.stringify(headers), /operator123|insufficient_quota/)
      assert.doesNotMatch(by.log(), /operator123/)
    }

    for (const [index, [coding, open]] of codings.entries()) {
      it(`takes the usage out that only the gateway wanted: ${coding} (${index})`, async () => {
        const list = await compress([...texts, chatUsage(7, 5), done], open())
        const cuts = [list, bytewise(list), [Buffer.concat(list)]]
        for (const cut of cuts) {
          const { answer, used, settlement } = await ask(chat, coded(cut, coding))
          assert.equal(answer.text, texts.join('') + done)
          assert.equal(answer.headers['content-encoding'], undefined)
          assert.equal(answer.headers['content-length'], undefined)
          assert.deepEqual([answer.isWhole, used, settlement?.isEstimated], [true, 12, false])
        }
      })

      it(`passes the bytes of the upstream where the client asked for usage: ${coding} (${index})`, async () => {
        const list = await compress([...texts, chatUsage(7, 5), done], open())
        for (const cut of [list, bytewise(list), [Buffer.concat(list)]]) {
          const { answer, used } = await ask(asking, coded(cut, coding))
          assert.deepEqual(answer.bytes, Buffer.concat(list))
          assert.deepEqual([answer.headers['content-encoding'], used], [coding, 12])
        }
      })

      it(`lets nothing of the operator's account out: ${coding} (${index})`, async () => {
        for (const request of [chat, asking]) {
          const spent = coded(await compress([quotaSpent, done], open()), coding)
          const first = await ask(request, spent)
          assert.deepEqual([first.answer.status, first.settlement?.errorCode], [503, 'upstream_refused'])
          assertHidden(first.answer)
          const moved = await ask(request, spent, pair)
          assert.deepEqual([moved.answer.status, moved.settlement?.upstream], [200, 'second'])
        }
        const later = coded(await compress([...texts, quotaSpent, chatChunk('more')], open()), coding)
        const ended = await ask(chat, later)
        assert.ok(ended.answer.text.startsWith(texts.join('')))
        assert.match(ended.answer.text, /upstream_refused/)
        assert.doesNotMatch(ended.answer.text, /more/)
        assertHidden(ended.answer)
        const cut = await ask(asking, later)
        assert.deepEqual([cut.answer.isWhole, cut.settlement?.errorCode], [false, 'upstream_refused'])
        assert.ok(cut.used > 0)
        assertHidden(cut.answer)
      })
    }

    it("takes the operator's names out of an error, or breaks off where it cannot", async () => {
      const list = coded(await compress([...texts, error(named), done]))
      const decoded = await ask(chat, list)
      const hidden = error({ ...named, message: named.message.replace('org-operator123', '(hidden)') })
      assert.equal(decoded.answer.text, texts.join('') + hidden + done)
      const broken = await ask(asking, list)
      assert.equal(broken.answer.isWhole, false)
      assert.equal(readable(broken.answer.bytes), texts.join(''))
      assert.equal(broken.settlement?.errorCode, 'upstream_failed')
      const alone = await ask(asking, coded(await compress([error(named), done])))
      assert.equal(alone.answer.status, 502)
      for (const { answer } of [decoded, broken, alone]) assertHidden(answer)
      const passed = error({ message: 'The engine is overloaded' })
      const whole = await compress([...texts, passed])
      assert.deepEqual((await ask(asking, coded(whole))).answer.bytes, Buffer.concat(whole))
    })

    it('reads the streams of messages', async () => {
      const events = [messageStart(10), messageText('Hello'), messageDelta(6), messageStop]
      const list = await compress(events, createZstdCompress())
      const { answer, used } = await ask(message, coded(list, 'zstd'))
      assert.deepEqual([answer.bytes, used], [Buffer.concat(list), 16])
    })

    for (const name of ['none', 'utf-8', 'Identity']) {
      it(`reads a stream whose coding is called ${name} as it is`, async () => {
        const { answer, used } = await ask(
          chat,
          pieces([...texts, chatUsage(7, 5), done], { 'content-encoding': name }),
        )
        assert.deepEqual([answer.text, used], [texts.join('') + done, 12])
        const spent = await ask(chat, pieces([...texts, quotaSpent], { 'content-encoding': name }))
        assert.match(spent.answer.text, /upstream_refused/)
        assertHidden(spent.answer)
        const whole = await ask(chat, json({ error: named }, 400, { 'content-encoding': name }))
        assert.deepEqual([whole.answer.status, JSON.parse(whole.answer.text).error.code], [400, named.code])
        assertHidden(whole.answer)
      })
    }

    for (const name of ['compress', 'gzip, gzip', 'constructor']) {
      it(`passes no stream of a coding that it cannot read: ${name}`, async () => {
        for (const request of [chat, asking]) {
          const { answer, used, settlement } = await ask(
            request,
            pieces([quotaSpent, done], { 'content-encoding': name }),
          )
          assert.equal(answer.status, 502)
          assertHidden(answer)
          assert.deepEqual([used > 0, settlement?.isEstimated], [true, true])
        }
      })
    }

    it('passes nothing of a stream that is not in its coding', async () => {
      for (const request of [chat, asking]) {
        const { answer } = await ask(request, pieces([quotaSpent], { 'content-encoding': 'gzip' }))
        assert.equal(answer.status, 502)
        assertHidden(answer)
      }
      const list = await compress([...texts, quotaSpent])
      const damaged = Buffer.concat(list)
      damaged.fill(0xff, list[0]?.length)
      const { answer, used } = await ask(asking, coded([damaged.subarray(0, list[0]?.length), damaged]))
      assert.equal(answer.isWhole, false)
      assert.ok(used > 0)
      assertHidden(answer)
    })

    it('meters what came of a stream that broke off', async () => {
      const list = await compress([...texts, chatUsage(70, 50), done])
      for (const request of [chat, asking]) {
        const { used, settlement } = await ask(request, async (_request, response, socket) => {
          response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
          for (const piece of list.slice(0, 3)) response.write(piece)
          await new Promise((resolve) => setTimeout(resolve, 100))
          socket.destroy()
        })
        assert.deepEqual([used, settlement?.errorCode], [120, 'upstream_failed'])
      }
      const ended = await ask(asking, coded([Buffer.concat(list).subarray(0, -9)]))
      assert.deepEqual([ended.used, ended.settlement?.isEstimated], [120, false])
    })

    it('sends each event on when it comes', async () => {
      const list = await compress([...texts, chatUsage(7, 5), done])
      for (const request of [chat, asking]) {
        let goOn: () => void = () => {}
        upstream.script = async (_request, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
          for (const piece of list) {
            response.write(piece)
            await new Promise<void>((resolve) => {
              goOn = resolve
            })
          }
          response.end()
        }
        const accessToken = await harness.createUser()
        const client = openRaw(harness.port, { ...request, accessToken })
        for (const _ of texts) {
          const had = client.received().length
          await waitUntil(() => client.received().length > had, 'the event has come')
          await new Promise((resolve) => setTimeout(resolve, 20))
          goOn()
        }
        const timer = setInterval(() => goOn(), 10)
        await waitUntil(() => client.received().endsWith('0\r\n\r\n'), 'the stream has ended')
        clearInterval(timer)
        client.hangUp()
        await harness.settle()
        assert.equal(await harness.usedBy(accessToken), 12)
      }
    })

    it('does not fill the memory where much comes of few bytes, and the client is slow', async () => {
      const megabyte = 1024 * 1024
      const filler = chatChunk(' '.repeat(megabyte)).repeat(16)
      const bomb = Buffer.concat(Array.from({ length: 16 }, () => gzipSync(filler)))
      upstream.script = coded([bomb, gzipSync(chatUsage(7, 5) + done)])
      const accessToken = await harness.createUser()
      const before = process.memoryUsage().rss
      const client = openRaw(harness.port, { ...chat, accessToken })
      client.socket.pause()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const grown = process.memoryUsage().rss - before
      assert.ok(grown < 128 * megabyte, `the process grew by ${grown} bytes`)
      const rest = readOn(client)
      await waitUntil(() => rest.tail().endsWith('0\r\n\r\n'), 'all of it has come', 30_000)
      assert.ok(rest.received() > 256 * megabyte, `${rest.received()} bytes`)
      assert.match(rest.tail(), /\[DONE\]/)
      client.hangUp()
      await harness.settle()
      assert.equal(await harness.usedBy(accessToken), 12)
    })

    it('decodes a stream for a client to which comments were sent before', async () => {
      const quiet = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { keepAliveMs: 50 },
      })
      try {
        const list = await compress([...texts, chatUsage(7, 5), done], createBrotliCompress())
        upstream.script = async (...args) => {
          await new Promise((resolve) => setTimeout(resolve, 150))
          await coded(list, 'br')(...args)
        }
        const accessToken = await quiet.createUser()
        const answer = await call(quiet.port, { ...asking, accessToken })
        assert.equal(answer.text.replaceAll(': keep-alive\n\n', ''), texts.join('') + chatUsage(7, 5) + done)
        await quiet.settle()
        assert.equal(await quiet.usedBy(accessToken), 12)
      } finally {
        await quiet.close()
      }
    })

    it('reads a stream to its end after its client is gone, if it is set so', async () => {
      const list = await compress([...texts, chatUsage(7, 5), done])
      const draining = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { onDisconnect: 'drain' },
      })
      try {
        for (const request of [chat, asking]) {
          let goOn: () => void = () => {}
          upstream.script = async (_request, response) => {
            response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
            response.write(list[0])
            await new Promise<void>((resolve) => {
              goOn = resolve
            })
            for (const piece of list.slice(1)) response.write(piece)
            response.end()
          }
          const accessToken = await draining.createUser()
          const client = openRaw(draining.port, { ...request, accessToken })
          await waitUntil(() => client.received().includes('200 OK'), 'it has begun')
          client.hangUp()
          await new Promise((resolve) => setTimeout(resolve, 50))
          goOn()
          await draining.settle()
          assert.deepEqual(
            [await draining.usedBy(accessToken), draining.settlements.at(-1)?.status],
            [12, 200],
          )
        }
      } finally {
        await draining.close()
      }
    })
  })
}
