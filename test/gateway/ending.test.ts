import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import OpenAI from 'openai'
import { createProblem } from '#core/errors.ts'
import type { Ledger } from '#metering/ledger.ts'
import { call, openRaw } from '../support/gateway-client.ts'
import {
  type Harness,
  type HarnessOptions,
  openHarness,
  upstreamAt,
  waitUntil,
} from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  done,
  json,
  openScripted,
  pieces,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

const path = '/v1/chat/completions'
const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] }
const stream = { ...body, stream: true }

for (const database of databases) {
  describe(`every relay ends in one settlement on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    afterEach(async () => {
      await harness.close()
      await upstream.close()
    })

    /** An upstream whose streams say one word and then wait. */
    async function openWaiting(options: Partial<HarnessOptions> = {}): Promise<string> {
      upstream = await openScripted((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('first'))
      })
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        ...options,
      })
      return harness.createUser()
    }

    async function openRunning(accessToken: string) {
      const client = openRaw(harness.port, { path, accessToken, body: stream })
      await waitUntil(() => client.received().includes('first'), 'it runs')
      return client
    }

    it('when a user is cut: that one, with an event that the official client raises', async () => {
      const accessToken = await openWaiting()
      const other = await openRunning(await harness.createUser())
      const client = new OpenAI({ apiKey: accessToken, baseURL: `${harness.origin}/v1` })
      const chunks = await client.chat.completions.create({ model: 'gpt-4o', messages: [], stream: true })
      const reading = (async () => {
        for await (const _ of chunks) {
          const { id } = await harness.userOf(accessToken)
          assert.equal(harness.gateway.cutUser(id, createProblem('user_disabled', 'Disabled just now.')), 1)
        }
      })()
      await assert.rejects(reading, /Disabled just now/)
      await waitUntil(() => harness.gateway.openRelays() === 1, 'only the other runs')
      assert.equal(harness.settlements[0]?.errorCode, 'user_disabled')
      assert.ok((harness.settlements[0]?.usage.input ?? 0) > 0, 'what had passed is charged')
      await waitUntil(() => upstream.requests.at(-1)?.wasCut === true, 'the upstream is let go')
      other.hangUp()
      await harness.settle()
    })

    it('when a user is cut before the answer has begun', async () => {
      const accessToken = await openWaiting()
      upstream.script = () => {}
      const asked = call(harness.port, { path, accessToken, body })
      await waitUntil(() => harness.gateway.openRelays() === 1, 'it runs')
      const { id } = await harness.userOf(accessToken)
      harness.gateway.cutUser(id, createProblem('user_disabled'))
      harness.gateway.cutUser(id, createProblem('user_expired'))
      assert.equal((await asked).status, 403)
      await harness.settle()
    })

    it('when the gateway stops: what runs may end, what is new is refused, the rest is cut', async () => {
      const accessToken = await openWaiting()
      const client = await openRunning(accessToken)
      const drained = harness.gateway.drain(200)
      const refused = await call(harness.port, { path, accessToken, body })
      assert.equal(refused.status, 503)
      assert.equal(JSON.parse(refused.text).error.code, 'shutting_down')
      assert.equal(harness.gateway.openRelays(), 1, 'it still runs')
      await drained
      await waitUntil(() => /shutting_down/.test(client.received()), 'the client is told')
      assert.equal(harness.settlements.length, 1)
      client.hangUp()
      await harness.settle()
    })

    it('when the gateway stops and the answer ends in time', async () => {
      const accessToken = await openWaiting()
      const stops = Promise.withResolvers<void>()
      upstream.script = async (request, response, socket) => {
        await stops.promise
        json(chatAnswer)(request, response, socket)
      }
      const asked = call(harness.port, { path, accessToken, body })
      await waitUntil(() => harness.gateway.openRelays() === 1, 'it runs')
      const drained = harness.gateway.drain(5000)
      stops.resolve()
      await drained
      assert.equal((await asked).status, 200)
      assert.equal(await harness.usedBy(accessToken), 12)
    })

    it('when reading the answer throws', async () => {
      const accessToken = await openWaiting()
      const { providers } = await import('#providers/all.ts')
      await harness.close()
      const broken = providers.map((provider) => ({
        ...provider,
        endpoints: provider.endpoints.map((endpoint) => ({
          ...endpoint,
          readAnswer() {
            throw new Error('readAnswer')
          },
          openStream: () => ({
            ...endpoint.openStream({ withholdsUsage: false }),
            push: () => assert.fail('push'),
          }),
        })),
      }))
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { providers: broken },
      })
      assert.ok(accessToken)
      const user = await harness.createUser()
      const streamed = await call(harness.port, { path, accessToken: user, body: stream })
      // Its head may have gone out already; then an event tells.
      assert.match(streamed.text, /"internal_error"/)
      upstream.script = json(chatAnswer)
      const whole = await call(harness.port, { path, accessToken: user, body })
      assert.equal(whole.status, 200)
      await harness.settle()
      assert.equal(harness.settlements.length, 2)
    })

    it('when writing into the body throws', async () => {
      await openWaiting()
      const { providers } = await import('#providers/all.ts')
      await harness.close()
      const broken = providers.map((provider) => ({
        ...provider,
        endpoints: provider.endpoints.map((endpoint) => ({
          ...endpoint,
          editsFor: () => assert.fail('editsFor'),
        })),
      }))
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { providers: broken },
      })
      const user = await harness.createUser()
      assert.equal((await call(harness.port, { path, accessToken: user, body })).status, 500)
      await harness.settle()
      assert.deepEqual(
        harness.settlements.map(({ ending }) => ending),
        ['released'],
      )
    })

    it('when the client is gone before it is admitted', async () => {
      let letIn: () => void = () => {}
      const gate = new Promise<void>((resolve) => {
        letIn = resolve
      })
      const wrapLedger = (ledger: Ledger): Ledger => ({
        ...ledger,
        async admit(ask) {
          const outcome = await ledger.admit(ask)
          await gate
          return outcome
        },
      })
      const accessToken = await openWaiting({ wrapLedger })
      const client = openRaw(harness.port, { path, accessToken, body: stream })
      await waitUntil(
        async () => ((await harness.userOf(accessToken)).quotas.get('gpt4')?.reserved ?? 0) > 0,
        'it is held',
      )
      client.hangUp()
      await waitUntil(() => harness.log().includes('"status":499'), 'it is gone')
      letIn()
      await waitUntil(() => harness.settlements.length === 1, 'it is settled')
      await harness.settle()
      assert.equal(upstream.requests.length, 0)
      assert.deepEqual([harness.settlements[0]?.ending, harness.settlements[0]?.status], ['released', 0])
    })

    it('before the client sees the end of its answer', async () => {
      let isBooked = false
      const wrapLedger = (ledger: Ledger): Ledger => ({
        ...ledger,
        async settle(settlement) {
          // Long enough for an answer that does not wait for it to come first.
          await new Promise((resolve) => setTimeout(resolve, 60))
          const outcome = await ledger.settle(settlement)
          isBooked = true
          return outcome
        },
      })
      const accessToken = await openWaiting({ wrapLedger })
      const { length } = JSON.stringify(chatAnswer)
      const scripts = [
        json(chatAnswer),
        json(chatAnswer, 200, { 'content-length': String(length) }),
        pieces([chatChunk('a'), 'data: [DONE]\n\n']),
        json({ error: { message: 'no' } }, 400, { 'content-length': '26' }),
      ]
      for (const [index, script] of scripts.entries()) {
        upstream.script = script
        isBooked = false
        const answer = await call(harness.port, { path, accessToken, body: index === 2 ? stream : body })
        assert.ok(answer.isWhole)
        assert.ok(isBooked, `answer ${index}`)
      }
      await harness.settle()
    })

    it('before the client sees the last event of a stream, also where the upstream stays connected', async () => {
      const booked: number[] = []
      const wrapLedger = (ledger: Ledger): Ledger => ({
        ...ledger,
        async settle(settlement) {
          // Long enough for an event that does not wait for it to come first.
          await new Promise((resolve) => setTimeout(resolve, 60))
          const outcome = await ledger.settle(settlement)
          booked.push(performance.now())
          return outcome
        },
      })
      const accessToken = await openWaiting({ wrapLedger })
      let finishes = () => {}
      let ends = () => {}
      upstream.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('first'))
        finishes = () => response.write(chatUsage(7, 8) + done)
        ends = () => response.end()
      }
      const client = openRaw(harness.port, {
        path,
        accessToken,
        body: { ...stream, stream_options: { include_usage: true } },
      })
      await waitUntil(() => client.received().includes('first'), 'it runs')
      assert.equal(booked.length, 0)
      finishes()
      await waitUntil(() => client.received().includes('[DONE]'), 'the last event comes without the end')
      assert.equal(booked.length, 1, 'and not before it is booked')
      ends()
      await waitUntil(() => client.received().endsWith('0\r\n\r\n'), 'the answer ends')
      client.hangUp()
      await harness.settle()
      assert.equal(await harness.usedBy(accessToken), 15)
    })

    it('when the store is slow to settle, the answer ends all the same', async () => {
      const isAnswered = Promise.withResolvers<void>()
      const wrapLedger = (ledger: Ledger): Ledger => ({
        ...ledger,
        settle: (settlement) => isAnswered.promise.then(() => ledger.settle(settlement)),
      })
      const accessToken = await openWaiting({ wrapLedger, gateway: { settleWaitMs: 100 } })
      upstream.script = json(chatAnswer)
      const startedAt = performance.now()
      assert.equal((await call(harness.port, { path, accessToken, body })).status, 200)
      const tookMs = performance.now() - startedAt
      isAnswered.resolve()
      assert.ok(tookMs > 90, `${tookMs} ms`)
      await harness.settle()
    })

    it('when the store is away nobody is let in, and nobody is called unknown', async () => {
      const wrapLedger = (ledger: Ledger): Ledger => ({
        ...ledger,
        admit: () => Promise.reject(new Error('away')),
      })
      const accessToken = await openWaiting({
        wrapLedger,
        gateway: { knowsAccessToken: () => Promise.reject(new Error('away')) },
      })
      for (const sent of [body, { ...body, messages: 'x'.repeat(70_000) }]) {
        const answer = await call(harness.port, { path, accessToken, body: sent })
        assert.equal(answer.status, 503)
        assert.equal(answer.headers['retry-after'], '1')
        assert.equal(JSON.parse(answer.text).error.code, 'store_unavailable')
      }
      const models = await call(harness.port, { method: 'GET', path: '/v1/models', accessToken })
      assert.equal(models.status, 503)
      assert.equal(upstream.requests.length, 0)
    })

    it('when requests stand in line on one connection, each in its turn, and none is left when it breaks', async () => {
      const accessToken = await openWaiting()
      const payload = JSON.stringify(stream)
      const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${accessToken}\r\ncontent-length: ${payload.length}\r\n\r\n`
      const client = await openRunning(accessToken)
      client.socket.write(head + payload + head + payload)
      await waitUntil(() => harness.gateway.openRelays() === 1, 'one runs')
      assert.equal(upstream.requests.length, 1)
      client.hangUp()
      await harness.settle()
      assert.equal(harness.settlements.length, 1)

      upstream.script = json(chatAnswer)
      const second = openRaw(harness.port, { path, accessToken, body })
      second.socket.write(head + payload)
      await waitUntil(() => second.received().split('HTTP/1.1 200').length === 3, 'both are answered')
      second.hangUp()
      await harness.settle()
    })

    it('whatever happens at once to many', async () => {
      const accessToken = await openWaiting()
      let count = 0
      upstream.script = (_request, response, socket) => {
        count += 1
        const kind = count % 6
        if (kind === 0) return void socket.destroy()
        if (kind === 1) return void response.writeHead(500, { 'content-type': 'application/json' }).end('{}')
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chatChunk('first'))
        if (kind === 2) setTimeout(() => socket.destroy(), 5)
        else if (kind === 3) setTimeout(() => response.end('data: [DONE]\n\n'), 5)
        else if (kind === 4) setTimeout(() => response.write(chatChunk('second')), 5)
        else response.end()
        return undefined
      }
      const clients = Array.from({ length: 120 }, () =>
        openRaw(harness.port, { path, accessToken, body: stream }),
      )
      for (const [index, client] of clients.entries())
        if (index % 3 === 0) setTimeout(client.hangUp, index % 17)
      await waitUntil(
        () =>
          clients.every(
            (client, index) => index % 3 === 0 || client.received().length > 0 || client.socket.destroyed,
          ),
        'each has seen something',
      )
      harness.gateway.cutUser((await harness.userOf(accessToken)).id, createProblem('user_disabled'))
      for (const client of clients) client.hangUp()
      await harness.settle()
      assert.ok(harness.settlements.length > 60)
    })
  })
}
