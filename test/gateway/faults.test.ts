import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  closedOrigin,
  done,
  json,
  messageStart,
  messageText,
  openScripted,
  type Script,
  type Scripted,
  written,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

const path = '/v1/chat/completions'
const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }
const stream = { ...body, stream: true }
const errorBody = { error: { message: 'no', type: 'server_error', param: null, code: null } }

for (const database of databases) {
  describe(`upstreams that fail on ${database.name}`, () => {
    const open: { close: () => Promise<void> }[] = []
    let harness: Harness
    afterEach(async () => {
      for (const each of open.splice(0)) await each.close()
    })

    async function scripted(script: Script): Promise<Scripted> {
      const made = await openScripted(script)
      open.push(made)
      return made
    }

    /** Opens a gateway over these upstreams, in this order. */
    async function over(origins: readonly string[], more: object = {}): Promise<Harness> {
      harness = await openHarness(database, {
        upstreams: origins.map((origin, index) =>
          upstreamAt(origin, { provider: 'openai', name: `up${index}`, ...more }),
        ),
      })
      open.unshift(harness)
      return harness
    }

    async function ask(request: unknown = body, user?: string, onBody: (text: string) => void = () => {}) {
      const accessToken = user ?? (await harness.createUser())
      const answer = await call(harness.port, { path, accessToken, body: request, onBody })
      const used = await harness.usedBy(accessToken)
      await harness.settle()
      return { answer, used, settlement: harness.settlements.at(-1) }
    }

    const refuse: Script = (_request, _response, socket) => socket.destroy()
    const troubles: readonly (readonly [string, Script])[] = [
      ...[429, 500, 502, 503, 529].map((status) => [`${status}`, json(errorBody, status)] as const),
      ['a connection that closes', refuse],
      ['its own credential refused', json({ error: { message: 'Incorrect API key: upstream-se***' } }, 401)],
    ]
    for (const [name, script] of troubles) {
      it(`moves on to the next upstream: ${name}`, async () => {
        const [first, second] = [await scripted(script), await scripted(json(chatAnswer))]
        await over([first.origin, second.origin])
        const { answer, used, settlement } = await ask()
        assert.equal(answer.status, 200)
        assert.equal(used, 12)
        assert.equal(settlement?.upstream, 'up1')
        assert.deepEqual([first.requests.length, second.requests.length], [1, 1])
        assert.equal(second.requests[0]?.body, first.requests[0]?.body)
      })
    }

    it('moves on from an address where nobody listens', async () => {
      const second = await scripted(json(chatAnswer))
      await over([await closedOrigin(), second.origin])
      assert.equal((await ask()).answer.status, 200)
    })

    for (const status of [400, 403, 404, 409, 422, 504]) {
      it(`passes ${status} on as it is and charges nothing`, async () => {
        const [first, second] = [await scripted(json(errorBody, status)), await scripted(json(chatAnswer))]
        await over([first.origin, second.origin])
        const { answer, used, settlement } = await ask()
        assert.equal(answer.status, status)
        assert.deepEqual(JSON.parse(answer.text), errorBody)
        assert.deepEqual([used, settlement?.ending], [0, 'released'])
        assert.equal(second.requests.length, 0)
      })
    }

    it('passes the last answer on when none is left', async () => {
      const last = json({ error: { message: 'slow down', type: 'x', param: null, code: 'rate' } }, 429, {
        'retry-after': '7',
      })
      const [first, second] = [await scripted(json(errorBody, 500)), await scripted(last)]
      await over([first.origin, second.origin])
      const { answer, used } = await ask()
      assert.equal(answer.status, 429)
      assert.equal(answer.headers['retry-after'], '7')
      assert.match(answer.text, /slow down/)
      assert.equal(used, 0)
    })

    it('charges an error that states usage', async () => {
      const first = await scripted(json({ ...errorBody, usage: chatAnswer.usage }, 400))
      await over([first.origin])
      assert.equal((await ask()).used, 12)
    })

    it('says 502 when nobody can be reached, and charges nothing', async () => {
      await over([await closedOrigin(), await closedOrigin()])
      const { answer, used, settlement } = await ask()
      assert.equal(answer.status, 502)
      assert.equal(JSON.parse(answer.text).error.code, 'upstream_failed')
      assert.deepEqual([used, settlement?.ending, settlement?.errorCode], [0, 'released', 'upstream_failed'])
    })

    it("tells nobody of its own credential's refusal, nor a part of it", async () => {
      const first = await scripted(json({ error: { message: 'Incorrect API key: upstream-se***' } }, 401))
      await over([first.origin])
      const { answer } = await ask()
      assert.equal(answer.status, 502)
      assert.doesNotMatch(answer.text + harness.log(), /upstream-se/)
    })

    it('knows no model that no upstream serves, and tells the operator how to add one', async () => {
      harness = await openHarness(database, {
        upstreams: [],
        gateway: { noUpstreamAdvice: 'set SOME_KEY' },
      })
      open.push(harness)
      assert.deepEqual(harness.gateway.notes(), [])
      const { answer, used, settlement } = await ask()
      const accessToken = await harness.createUser()
      const body = { model: 'no-such-family', messages: [] }
      const unknown = await call(harness.port, { path: '/v1/chat/completions', accessToken, body })
      assert.deepEqual([answer.status, unknown.status], [404, 404])
      assert.equal(answer.text, unknown.text.replace('no-such-family', 'gpt-4o'))
      assert.deepEqual([used, settlement?.status, settlement?.errorCode], [0, 404, 'model_not_served'])
      assert.deepEqual(harness.gateway.notes(), [
        'no upstream serves gpt4 on the routes of openai: set SOME_KEY',
      ])
      const lines = () => harness.log().match(/no upstream serves a model/g)?.length
      assert.equal(lines(), 1)
      await ask()
      assert.equal(lines(), 1, 'who asks again and again is logged once')
      harness.shiftClock(61_000)
      await ask()
      assert.equal(lines(), 2)
      harness.shiftClock(3_600_001)
      assert.deepEqual(harness.gateway.notes(), [], 'what was an hour ago is no news')
    })

    it('says 504 when no answer comes in time, lets the upstream go and tries no other', async () => {
      const [first, second] = [await scripted(() => {}), await scripted(json(chatAnswer))]
      await over([first.origin, second.origin], { headersTimeoutMs: 150 })
      const { answer, used, settlement } = await ask()
      assert.equal(answer.status, 504)
      assert.equal(second.requests.length, 0)
      assert.ok(used > 0, `it may have cost: ${used}`)
      assert.deepEqual([settlement?.isEstimated, settlement?.usage.output], [true, 0])
      assert.equal(first.requests[0]?.wasCut, true)
    })

    const cuts: readonly (readonly [string, readonly string[], boolean])[] = [
      ['between two events', [chatChunk('one'), chatChunk('two')], true],
      ['within an event', [chatChunk('one'), chatChunk('two').slice(0, 40)], false],
    ]
    for (const [where, list, isWhole] of cuts) {
      it(`tells the client of a stream that breaks off ${where}, and charges what had passed`, async () => {
        const passed = Promise.withResolvers<void>()
        const first = await scripted(async (_request, response, socket) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          for (const piece of list) response.write(piece)
          await passed.promise
          socket.destroy()
        })
        await over([first.origin])
        const request = { ...stream, stream_options: { include_usage: true } }
        const { answer, settlement } = await ask(request, undefined, (text) => {
          if (text === list.join('')) passed.resolve()
        })
        assert.equal(answer.status, 200)
        assert.equal(answer.isWhole, isWhole)
        assert.ok(answer.text.startsWith(list.join('')))
        assert.equal(answer.text.includes('upstream_failed'), isWhole)
        assert.doesNotMatch(answer.text, /DONE/)
        assert.deepEqual([settlement?.isEstimated, settlement?.errorCode], [true, 'upstream_failed'])
        assert.ok((settlement?.usage.output ?? 0) > 0)
      })
    }

    it('uses what the provider had stated when its stream breaks off', async () => {
      const first = await scripted(async (_request, response, socket) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(messageStart(123) + messageText('abcdefgh'))
        await written(socket)
        socket.destroy()
      })
      harness = await openHarness(database, {
        upstreams: [upstreamAt(first.origin, { provider: 'anthropic' })],
      })
      open.unshift(harness)
      const accessToken = await harness.createUser()
      const message = { model: 'claude-x', max_tokens: 9, stream: true, messages: [] }
      const answer = await call(harness.port, { path: '/v1/messages', accessToken, body: message })
      assert.match(answer.text, /event: error\ndata: \{"type":"error"/)
      assert.equal(answer.isWhole, true)
      await harness.settle()
      assert.equal(harness.settlements[0]?.usage.input, 123)
    })

    it('says 502 when a whole answer breaks off before the client saw any of it', async () => {
      const first = await scripted(async (_request, response, socket) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
        response.flushHeaders()
        await written(socket)
        socket.destroy()
      })
      await over([first.origin])
      const { answer } = await ask()
      assert.equal(answer.status, 502)
      assert.equal(JSON.parse(answer.text).error.code, 'upstream_failed')
    })

    it('breaks the connection when a whole answer breaks off later', async () => {
      // Longer than what waits because it may be an error.
      const partly = `{"id": "${'x'.repeat(100_000)}`
      const begun = Promise.withResolvers<void>()
      const first = await scripted(async (_request, response, socket) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500000' })
        response.write(partly)
        await begun.promise
        socket.destroy()
      })
      await over([first.origin])
      const { answer, settlement } = await ask(body, undefined, () => begun.resolve())
      assert.deepEqual([answer.status, answer.isWhole], [200, false])
      assert.ok(answer.text.length > 0 && partly.startsWith(answer.text))
      assert.equal(settlement?.isEstimated, true)
    })

    it('ends a stream that falls silent', async () => {
      const first = await scripted((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('one'))
      })
      await over([first.origin], { idleTimeoutMs: 150 })
      const { answer } = await ask(stream)
      assert.match(answer.text, /upstream_failed/)
    })

    it('lets one that failed rest, longer each time, and takes it back when it has recovered', async () => {
      const [first, second] = [await scripted(json(errorBody, 503)), await scripted(json(chatAnswer))]
      await over([first.origin, second.origin])
      const asked = async () => {
        await ask()
        return first.requests.length
      }
      assert.equal(await asked(), 1)
      assert.equal(await asked(), 1, 'it rests')
      harness.shiftClock(1100)
      assert.equal(await asked(), 2, 'it is tried again')
      harness.shiftClock(1100)
      assert.equal(await asked(), 2, 'it rests for longer')
      harness.shiftClock(1000)
      first.script = json(chatAnswer)
      assert.equal(await asked(), 3)
      assert.equal(await asked(), 4, 'it has recovered')
    })

    for (const status of [500, 502]) {
      it(`lets none rest for what one user's requests meet (${status}), but for what others meet too`, async () => {
        const script: Script = (request, response, socket) =>
          json(
            request.body.includes('malformed') ? errorBody : chatAnswer,
            request.body.includes('malformed') ? status : 200,
          )(request, response, socket)
        const [first, second] = [await scripted(script), await scripted(script)]
        await over([first.origin, second.origin])
        const malformed = { ...body, user: 'malformed' }
        const [careless, good, other] = [
          await harness.createUser(),
          await harness.createUser(),
          await harness.createUser(),
        ]
        for (let round = 0; round < 4; round += 1) {
          assert.equal((await ask(malformed, careless)).answer.status, status)
          assert.equal((await ask(body, good)).settlement?.upstream, 'up0')
        }
        await ask(malformed, careless)
        await ask(malformed, other)
        assert.equal((await ask(body, good)).settlement?.upstream, 'up0', 'both may be well, and both rest')
        harness.shiftClock(1100)
        second.script = json(chatAnswer)
        await ask(malformed, careless)
        await ask(malformed, other)
        assert.equal((await ask(body, good)).settlement?.upstream, 'up1')
      })
    }

    it('keeps the time that an upstream asks for', async () => {
      const first = await scripted(json(errorBody, 429, { 'retry-after': '30' }))
      const second = await scripted(json(chatAnswer))
      await over([first.origin, second.origin])
      await ask()
      harness.shiftClock(29_000)
      await ask()
      assert.equal(first.requests.length, 1)
      harness.shiftClock(2000)
      await ask()
      assert.equal(first.requests.length, 2)
    })

    it('asks the only one that serves a model, rested or not', async () => {
      const first = await scripted(json(errorBody, 500))
      await over([first.origin])
      assert.deepEqual([(await ask()).answer.status, (await ask()).answer.status], [500, 500])
      assert.equal(first.requests.length, 2)
    })

    it('sends again when a kept connection turns out to be closed', async () => {
      let closes = false
      const first = await scripted((request, response, socket) => {
        if (closes) socket.destroy()
        else json(chatAnswer)(request, response, socket)
        closes = false
      })
      await over([first.origin])
      await ask()
      closes = true
      assert.equal((await ask()).answer.status, 200)
      assert.equal(first.requests.length, 3)
    })

    /** How a connection can end while a request is on it. */
    const endings = {
      closed: (socket: Socket) => socket.destroy(),
      reset: (socket: Socket) => socket.resetAndDestroy(),
    }
    for (const [how, end] of Object.entries(endings)) {
      it(`sends again when a kept connection is ${how} at once`, async () => {
        const first = await scripted(json(chatAnswer))
        const second = await scripted(json(chatAnswer))
        await over([first.origin, second.origin])
        await ask()
        first.script = (_request, _response, socket) => {
          first.script = json(chatAnswer)
          end(socket)
        }
        const { answer, used, settlement } = await ask()
        assert.deepEqual([answer.status, used, settlement?.upstream], [200, 12, 'up0'])
        assert.deepEqual([first.requests.length, second.requests.length], [3, 0])
      })

      for (const when of ['first', 'kept'] as const) {
        it(`executes nothing twice: a ${when} connection ${how} after work, charged as what may have cost`, async () => {
          const [first, second] = [await scripted(json(chatAnswer)), await scripted(json(chatAnswer))]
          await over([first.origin, second.origin])
          if (when === 'kept') await ask()
          const before = first.requests.length
          first.script = async (_request, _response, socket) => {
            // An upstream that closes sooner may not have read the request, which is then sent again.
            await setTimeout(1300)
            end(socket)
          }
          const { answer, used, settlement } = await ask()
          assert.equal(answer.status, 502)
          assert.equal(JSON.parse(answer.text).error.code, 'upstream_failed')
          assert.deepEqual([first.requests.length - before, second.requests.length], [1, 0])
          assert.deepEqual(
            [settlement?.ending, settlement?.isEstimated, settlement?.errorCode, settlement?.upstream],
            ['settled', true, 'upstream_failed', 'up0'],
          )
          assert.ok(used > 0)
          assert.deepEqual([settlement?.usage.input, settlement?.usage.output], [used, 0])
        })
      }
    }

    const unreadable: readonly (readonly [string, Script])[] = [
      [
        'headers beyond any bound',
        (_request, _response, socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(300_000)}\r\ncontent-length: 0\r\n\r\n`)
        },
      ],
      ['bytes that are no HTTP', (_request, _response, socket) => void socket.end('nonsense\r\n\r\n')],
      [
        'a part of its headers',
        (_request, _response, socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-ty'),
      ],
      [
        'an interim answer only',
        (_request, _response, socket) => void socket.end('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'),
      ],
    ]
    for (const [name, script] of unreadable) {
      it(`executes nothing twice: ${name} came back`, async () => {
        const [first, second] = [await scripted(script), await scripted(json(chatAnswer))]
        await over([first.origin, second.origin])
        const { answer, used, settlement } = await ask()
        assert.equal(answer.status, 502)
        assert.deepEqual([first.requests.length, second.requests.length], [1, 0])
        assert.deepEqual([settlement?.ending, settlement?.isEstimated], ['settled', true])
        assert.ok(used > 0)
      })
    }

    it('reads long headers of an answer', async () => {
      const first = await scripted(json(chatAnswer, 200, { 'alt-svc': 'x'.repeat(100_000) }))
      await over([first.origin])
      const { answer, used } = await ask()
      assert.deepEqual([answer.status, used], [200, 12])
    })

    it('chooses by the globs, in order', async () => {
      const [first, second] = [await scripted(json(chatAnswer)), await scripted(json(chatAnswer))]
      harness = await openHarness(database, {
        upstreams: [
          upstreamAt(first.origin, { provider: 'openai', name: 'mini', models: ['*-mini'] }),
          upstreamAt(second.origin, { provider: 'openai', name: 'rest', models: ['gpt-*'] }),
        ],
      })
      open.unshift(harness)
      await ask()
      await ask({ ...body, model: 'gpt-4o-mini' })
      assert.deepEqual(
        harness.settlements.map(({ upstream }) => upstream),
        ['rest', 'mini'],
      )
    })

    it('reads interim answers past', async () => {
      const first = await scripted((request, response, socket) => {
        socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n')
        json(chatAnswer)(request, response, socket)
      })
      await over([first.origin])
      const { answer, used } = await ask()
      assert.deepEqual([answer.status, used], [200, 12])
    })

    it('passes a stream where none was asked for', async () => {
      const text = chatChunk('one') + chatUsage(7, 5) + done
      const first = await scripted((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text)
      })
      await over([first.origin])
      const { answer, used } = await ask()
      assert.deepEqual([answer.text, used], [text, 12])
    })
  })
}
