import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openRaw, readOn } from '../support/gateway-client.ts'
import { openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import { chatChunk, chatUsage, done, openScripted } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

const path = '/v1/chat/completions'
const body = { model: 'gpt-4o', stream: true, stream_options: { include_usage: true }, messages: [] }
const megabyte = 1024 * 1024
const piece = Buffer.from(chatChunk('x'.repeat(64 * 1024)))

/** An upstream that sends as fast as it may, and counts what was taken from it. */
function openFountain(bytesMax: number) {
  let taken = 0
  let isDone = false
  const opening = openScripted((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const pour = () => {
      while (taken < bytesMax) {
        taken += piece.length
        if (!response.write(piece)) {
          response.once('drain', pour)
          return
        }
      }
      isDone = true
      response.end(chatUsage(3, 4) + done)
    }
    pour()
  })
  return opening.then((scripted) => ({ scripted, taken: () => taken, isDone: () => isDone }))
}

for (const database of databases) {
  describe(`a slow client on ${database.name}`, () => {
    it('slows the upstream down instead of filling the memory, and still gets every byte', async () => {
      const { scripted, taken, isDone } = await openFountain(256 * megabyte)
      const harness = await openHarness(database, {
        upstreams: [upstreamAt(scripted.origin, { provider: 'openai' })],
      })
      try {
        const accessToken = await harness.createUser()
        const before = process.memoryUsage().rss
        const client = openRaw(harness.port, { path, accessToken, body })
        client.socket.pause()
        // It has come to a stop when nothing more is taken for a while.
        let last = -1
        let quietSince = Date.now()
        await waitUntil(() => {
          if (taken() !== last) quietSince = Date.now()
          last = taken()
          return taken() > 0 && Date.now() - quietSince > 300
        }, 'the upstream has stopped')
        assert.ok(taken() < 64 * megabyte, `the upstream could send ${taken()} bytes`)
        const grown = process.memoryUsage().rss - before
        assert.ok(grown < 128 * megabyte, `the process grew by ${grown} bytes`)
        assert.equal(isDone(), false)

        const rest = readOn(client)
        await waitUntil(
          () => rest.tail().includes('0\r\n\r\n') && rest.tail().includes('[DONE]'),
          'all of it has come',
          30_000,
        )
        assert.ok(rest.received() > 256 * megabyte)
        await harness.settle()
        assert.equal(await harness.usedBy(accessToken), 7)
        client.hangUp()
      } finally {
        await harness.close()
        await scripted.close()
      }
    })

    it('that takes nothing at all is taken for gone', async () => {
      const { scripted } = await openFountain(256 * megabyte)
      const harness = await openHarness(database, {
        upstreams: [upstreamAt(scripted.origin, { provider: 'openai' })],
        gateway: { stalledMs: 200 },
      })
      try {
        const accessToken = await harness.createUser()
        const client = openRaw(harness.port, { path, accessToken, body })
        client.socket.pause()
        await waitUntil(() => harness.settlements.length === 1, 'it is settled')
        await harness.settle()
        assert.equal(harness.settlements[0]?.errorCode, 'client_gone')
        await waitUntil(() => scripted.requests[0]?.wasCut === true, 'the upstream is let go')
        client.hangUp()
      } finally {
        await harness.close()
        await scripted.close()
      }
    })

    it('does not hold up the others', async () => {
      const { scripted } = await openFountain(64 * megabyte)
      const harness = await openHarness(database, {
        upstreams: [upstreamAt(scripted.origin, { provider: 'openai' })],
      })
      try {
        const accessToken = await harness.createUser()
        const slow = openRaw(harness.port, { path, accessToken, body })
        slow.socket.pause()
        await waitUntil(() => scripted.requests.length === 1, 'the slow one runs')
        scripted.script = (_request, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' }).end(chatUsage(1, 1) + done)
        }
        const quick = openRaw(harness.port, { path, accessToken, body })
        await waitUntil(() => quick.received().includes('[DONE]'), 'the quick one is through')
        slow.hangUp()
        quick.hangUp()
        await harness.settle()
      } finally {
        await harness.close()
        await scripted.close()
      }
    })
  })
}
