import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  event,
  json,
  openScripted,
  pieces,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/**
 * A request that one upstream refused, and that waits for a connection to the next one when its client hangs up: no upstream
 * works for it, so it is free.
 */
const broke = { error: { message: 'Insufficient Balance', code: 'insufficient_balance' } }
const refusals: readonly (readonly [string, Script])[] = [
  ['a status', json({ error: { message: 'Too many requests' } }, 429)],
  ['the text of an error', json(broke, 400)],
  ['an error in a stream', pieces([event(broke)])],
]
const path = '/v1/chat/completions'
const body = (model: string) => ({ model, stream: true, messages: [{ role: 'user', content: 'Hi there' }] })

for (const database of databases) {
  describe(`a client that hangs up while its request waits for another upstream, on ${database.name}`, () => {
    let first: Scripted
    let second: Scripted
    let harness: Harness
    let held: ServerResponse | undefined
    before(async () => {
      first = await openScripted(json(chatAnswer))
      second = await openScripted((_request, response) => {
        held = response
      })
    })
    after(async () => {
      await first.close()
      await second.close()
    })
    beforeEach(async () => {
      held = undefined
      harness = await openHarness(database, {
        upstreams: [
          upstreamAt(first.origin, { provider: 'openai', name: 'first', models: ['gpt-4o'] }),
          upstreamAt(second.origin, { provider: 'openai', name: 'second', connections: 1 }),
        ],
      })
    })
    afterEach(() => harness.close())

    for (const [what, script] of refusals) {
      it(`is charged nothing after a refusal by ${what}`, async () => {
        first.script = script
        const accessToken = await harness.createUser()
        const other = call(harness.port, { path, accessToken, body: body('gpt-4o-mini') })
        await waitUntil(
          () => held !== undefined,
          "another request takes the second upstream's only connection",
        )
        const client = openRaw(harness.port, { path, accessToken, body: body('gpt-4o') })
        await waitUntil(() => harness.log().includes('upstream trouble'), 'the first upstream has refused')
        client.hangUp()
        await waitUntil(() => harness.settlements.length > 0, 'the request is settled')
        const [settlement] = harness.settlements
        assert.equal(settlement?.ending, 'released')
        assert.deepEqual([settlement.upstream, settlement.errorCode], ['second', 'client_gone'])
        held?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(chatAnswer))
        assert.equal((await other).status, 200)
        await harness.settle()
        assert.equal(second.requests.filter(({ body }) => body.includes('"gpt-4o"')).length, 0)
      })
    }
  })
}
