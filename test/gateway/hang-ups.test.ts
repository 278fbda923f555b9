import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { openRaw } from '../support/gateway-client.ts'
import { openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  done,
  messageDelta,
  messageStart,
  messageStop,
  messageText,
  openScripted,
} from '../support/gateway-scripted.ts'
import { bothAt, useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

/**
 * A client that hangs up, at each moment, on both protocols, under both rules. What it is charged is what users
 * of other gateways complain about most: nothing, or everything.
 */
interface Protocol {
  readonly path: string
  readonly body: unknown
  /** What the upstream sends before usage, the usage, and what comes after it. */
  readonly texts: readonly string[]
  readonly usage: string
  readonly last: string
  /** What the provider states in the end: input and output. */
  readonly stated: readonly [number, number]
  /** The input that the provider has stated with its first event. */
  readonly firstInput: number | undefined
}

const word = 'four'
const protocols: readonly Protocol[] = [
  {
    path: '/v1/chat/completions',
    body: {
      model: 'gpt-4o',
      stream: true,
      max_tokens: 500,
      messages: [{ role: 'user', content: 'Hi there' }],
    },
    texts: Array.from({ length: 10 }, () => chatChunk(word)),
    usage: chatUsage(70, 50),
    last: done,
    stated: [70, 50],
    firstInput: undefined,
  },
  {
    path: '/v1/messages',
    body: {
      model: 'claude-x',
      stream: true,
      max_tokens: 500,
      messages: [{ role: 'user', content: 'Hi there' }],
    },
    texts: [messageStart(70), ...Array.from({ length: 10 }, () => messageText(word))],
    usage: messageDelta(50),
    last: messageStop,
    stated: [70, 50],
    firstInput: 70,
  },
]

type Moment =
  | 'before the headers'
  | 'at the first chunk'
  | 'in the middle'
  | 'just before the usage'
  | 'at the end'
const moments: readonly Moment[] = [
  'before the headers',
  'at the first chunk',
  'in the middle',
  'just before the usage',
  'at the end',
]

/** How many of the pieces (headers first) the upstream has sent when the client goes. */
function sentBefore(moment: Moment, texts: number): number {
  const order = { 'before the headers': 0, 'at the first chunk': 1, 'in the middle': Math.floor(texts / 2) }
  if (moment === 'just before the usage') return texts
  return moment === 'at the end' ? texts + 2 : order[moment]
}

for (const database of databases) {
  for (const onDisconnect of ['abort', 'drain'] as const) {
    describe(`a client that hangs up, with onDisconnect ${onDisconnect}, on ${database.name}`, () => {
      const { harness, upstream } = useGateway(database, (origin) => ({
        upstreams: bothAt(origin),
        gateway: { onDisconnect },
      }))

      /** How many clients the gateway has seen go unanswered. */
      const gone = () => harness.log().split('"status":499').length

      /** Starts a request and holds the upstream's answer in hand. */
      async function start(protocol: Protocol) {
        const accessToken = await harness.createUser()
        let response: ServerResponse | undefined
        upstream.script = (_request, taken) => {
          response = taken
        }
        const client = openRaw(harness.port, { path: protocol.path, accessToken, body: protocol.body })
        await waitUntil(() => response !== undefined, 'the upstream has the request')
        assert.ok(response)
        const received = upstream.requests.at(-1)
        assert.ok(received)
        return { accessToken, response, client, received }
      }

      for (const protocol of protocols) {
        for (const moment of moments) {
          it(`${protocol.path}, ${moment}`, async () => {
            const { accessToken, response, client, received } = await start(protocol)
            const { texts, usage, last } = protocol
            const pieces = [...texts, usage, last]
            const count = sentBefore(moment, texts.length)
            if (count > 0) response.writeHead(200, { 'content-type': 'text/event-stream' })
            for (const piece of pieces.slice(0, count)) response.write(piece)
            const visible = pieces
              .slice(0, count)
              .filter((piece) => piece !== usage || protocol.firstInput !== undefined)
            const tail = visible.at(-1)
            if (tail !== undefined)
              await waitUntil(() => client.received().includes(tail.trim().slice(-40)), 'it came through')
            const goneBefore = gone()
            client.hangUp()

            if (onDisconnect === 'drain') {
              await waitUntil(() => gone() > goneBefore || count > 0, 'the gateway has seen it go')
              if (count === 0) response.writeHead(200, { 'content-type': 'text/event-stream' })
              for (const piece of pieces.slice(count)) response.write(piece)
              response.end()
            } else if (count < pieces.length) {
              await waitUntil(() => received.wasCut, 'the upstream request is ended')
            } else response.end()

            await waitUntil(() => harness.gateway.openRelays() === 0, 'the relay is closed')
            await harness.settle()
            const settlement = harness.settlements.at(-1)
            assert.ok(settlement)
            const [input, output] = protocol.stated
            const isWhole = onDisconnect === 'drain' || moment === 'at the end'
            assert.equal(settlement.ending, 'settled')
            assert.equal(settlement.isEstimated, !isWhole)
            const charged = settlement.usage
            if (isWhole) assert.deepEqual([charged.input, charged.output], [input, output])
            else {
              assert.equal(
                charged.input,
                count > 0 && protocol.firstInput ? protocol.firstInput : charged.input,
              )
              assert.ok(charged.input > 0, `the input is charged once it was sent: ${charged.input}`)
              const passedTexts = visible.filter((piece) => piece.includes(word)).length
              assert.ok(charged.output >= passedTexts, `${charged.output} for ${passedTexts} pieces`)
              assert.ok(charged.output <= 2 * passedTexts + 1, `${charged.output} for ${passedTexts} pieces`)
            }
            assert.equal(await harness.usedBy(accessToken), charged.input + charged.output)
            assert.equal(settlement.status, count === 0 ? 0 : 200)
          })
        }

        it(`${protocol.path}, a whole answer that is on its way`, async () => {
          const body = { ...(protocol.body as object), stream: false }
          const { accessToken, response, client, received } = await start({ ...protocol, body })
          const goneBefore = gone()
          client.hangUp()
          if (onDisconnect === 'abort')
            await waitUntil(() => received.wasCut, 'the upstream request is ended')
          else {
            await waitUntil(() => gone() > goneBefore, 'the gateway has seen it go')
            const usage = { input_tokens: 7, output_tokens: 5 }
            const answer =
              protocol.firstInput === undefined ? chatAnswer : { type: 'message', content: [], usage }
            response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
          }
          await harness.settle()
          const used = await harness.usedBy(accessToken)
          if (onDisconnect === 'drain') assert.equal(used, 12)
          else assert.ok(used > 0 && used < 50, `charged ${used}`)
        })
      }
    })
  }
}

for (const database of databases) {
  describe(`reading on for a client that has gone on ${database.name}`, () => {
    it('is bounded in bytes and in time', async () => {
      const upstream = await openScripted((request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('first'))
        if (request.body.includes('endless')) {
          const timer = setInterval(() => response.write(chatChunk('x'.repeat(1000))), 1)
          response.on('close', () => clearInterval(timer))
        }
      })
      const bounds = { endless: { drainBytesMax: 20_000 }, silent: { drainMs: 300 } }
      for (const [content, bound] of Object.entries(bounds)) {
        const harness = await openHarness(database, {
          upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
          gateway: { onDisconnect: 'drain', ...bound },
        })
        try {
          const accessToken = await harness.createUser()
          const body = { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content }] }
          const client = openRaw(harness.port, { path: '/v1/chat/completions', accessToken, body })
          await waitUntil(() => client.received().includes('first'), 'it runs')
          client.hangUp()
          await harness.settle()
          await waitUntil(() => upstream.requests.at(-1)?.wasCut === true, 'the upstream is let go')
          assert.equal(harness.settlements.at(-1)?.isEstimated, true)
          assert.ok((await harness.usedBy(accessToken)) > 0)
        } finally {
          await harness.close()
        }
      }
      await upstream.close()
    })

    it('leaves nothing open when clients go by the hundred', async () => {
      const upstream = await openScripted((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('first'))
      })
      const harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
      })
      try {
        const accessToken = await harness.createUser()
        const body = { model: 'gpt-4o', stream: true, messages: [{ role: 'user', content: 'Hi' }] }
        const clients = Array.from({ length: 200 }, () =>
          openRaw(harness.port, { path: '/v1/chat/completions', accessToken, body }),
        )
        await waitUntil(() => clients.every((client) => client.received().includes('first')), 'all run')
        for (const client of clients) client.hangUp()
        await harness.settle()
        assert.equal(harness.settlements.length, 200)
        await waitUntil(() => upstream.connections() === 0, 'no connection to the upstream is left')
      } finally {
        await harness.close()
        await upstream.close()
      }
    })
  })
}
