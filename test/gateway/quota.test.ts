import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { unitsOf } from '#core/usage.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { type Answer, call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import { type HeldUpstream, openHeldUpstream } from '../support/held-upstream.ts'
import { databases } from '../support/stores.ts'

/** A quota is a quota: 200 requests at once on one that fits 10. */
const [requests, fitting] = [200, 10]

for (const database of databases) {
  describe(`200 requests at once on a quota that fits 10 on ${database.name}`, () => {
    let simulated: SimulatedUpstream
    let held: HeldUpstream
    let harness: Harness
    before(async () => {
      simulated = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 5 } })
      held = await openHeldUpstream(simulated.url)
      harness = await openHarness(database, {
        upstreams: [
          upstreamAt(held.url, { provider: 'openai', passRequestHeaders: ['x-simulate'] }),
          upstreamAt(held.url, { provider: 'anthropic', passRequestHeaders: ['x-simulate'] }),
        ],
        // The bound: no estimate may be wrong to the quota's cost.
        gateway: { inputEstimate: 'bound' },
      })
    })
    after(async () => {
      await harness.close()
      await held.close()
      await simulated.close()
    })

    const messages = [{ role: 'user', content: 'Hi' }]
    const kinds = [
      { path: '/v1/chat/completions', model: 'gpt-4o', stream: false },
      { path: '/v1/chat/completions', model: 'gpt-4o', stream: true },
      { path: '/v1/messages', model: 'claude-x', stream: false },
      { path: '/v1/messages', model: 'claude-x', stream: true },
    ]

    /** A user whose quota has room for exactly so many of these requests, by what one of them reserves. */
    async function userFor(path: string, body: object): Promise<string> {
      const probe = await harness.createUser({ quotaLimits: { gpt4: 0, claude: 0 } })
      const refused = await call(harness.port, { path, accessToken: probe, body })
      const needed = Number(/needs up to (\d+) units/.exec(refused.text)?.[1])
      assert.ok(needed > 0, refused.text)
      const limit = needed * fitting + Math.floor(needed / 2)
      simulated.clearServed()
      return harness.createUser({ quotaLimits: { gpt4: limit, claude: limit } })
    }

    for (const { path, model, stream } of kinds) {
      it(`${path}${stream ? ', streamed' : ''}: admits 10, refuses 190, and books what was served`, async () => {
        const body = { model, stream, max_tokens: 40, messages }
        const accessToken = await userFor(path, body)
        let refused = 0
        // Held until all have asked, so that what the first ones leave over cannot let others in.
        held.hold()
        const sent = Array.from({ length: requests }, async () => {
          const answer = await call(harness.port, { path, accessToken, body })
          if (answer.status !== 200) refused++
          return answer
        })
        await waitUntil(() => refused >= requests - fitting, 'all others are refused', 30_000)
        held.release()
        const answers: readonly Answer[] = await Promise.all(sent)
        const statuses = answers.map(({ status }) => status)
        assert.equal(statuses.filter((status) => status === 200).length, fitting)
        assert.equal(statuses.filter((status) => status === 429).length, requests - fitting)
        for (const { status, headers } of answers) {
          if (status === 429) assert.equal(headers['retry-after'], '1', 'only reservations stood in the way')
        }
        await harness.settle()
        const served = simulated.served()
        assert.equal(served.length, fitting)
        const units = served.reduce((sum, { usage }) => sum + (usage ? unitsOf(usage) : 0), 0)
        assert.equal(await harness.usedBy(accessToken), units)
      })
    }

    it('holds when clients hang up', async () => {
      const path = '/v1/chat/completions'
      const body = { model: 'gpt-4o', stream: true, max_tokens: 40, messages }
      const accessToken = await userFor(path, body)
      const clients = Array.from({ length: requests }, () =>
        openRaw(harness.port, { path, accessToken, body }),
      )
      await waitUntil(() => clients.every((client) => client.received().length > 0), 'each is answered')
      for (const [index, client] of clients.entries()) if (index % 2 === 0) client.hangUp()
      await harness.settle()
      const { quotas } = await harness.userOf(accessToken)
      const quota = quotas.get('gpt4')
      assert.ok(quota?.limit !== undefined && quota.used > 0)
      assert.ok(quota.used <= quota.limit, `${quota.used} of ${quota.limit}`)
      for (const client of clients) client.hangUp()
    })

    it('caps an answer without a bound, so that it cannot outgrow its reservation', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { gpt4: 200 } })
      const body = { model: 'gpt-4o', messages }
      const headers = { 'x-simulate': 'units=5000' }
      simulated.clearServed()
      const answer = await call(harness.port, { path: '/v1/chat/completions', accessToken, body, headers })
      assert.equal(answer.status, 200)
      assert.match(simulated.served()[0]?.body ?? '', /"max_tokens":\d+/)
      assert.ok((await harness.usedBy(accessToken)) <= 200)
    })

    it('lets three of an agent that asks for far more than it uses run at once on 100,000 units', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { claude: 100_000 } })
      const body = {
        model: 'claude-x',
        max_tokens: 128_000,
        messages: [{ role: 'user', content: 'x'.repeat(11_500) }],
      }
      simulated.clearServed()
      held.hold()
      const sent = [1, 2, 3].map(() => call(harness.port, { path: '/v1/messages', accessToken, body }))
      const reserved = async () =>
        (await harness.userOf(accessToken)).quotas.get('claude')?.openRequests === 3
      await waitUntil(reserved, 'all three are admitted')
      held.release()
      const answers = await Promise.all(sent)
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200],
      )
      const caps = answers
        .map(({ headers }) => Number(headers['x-tollgate-output-cap']))
        .sort((a, b) => a - b)
      assert.ok(caps.every((cap) => cap >= 8192 && cap <= 25_000))
      const written = simulated.served().map((served) => JSON.parse(served.body).max_tokens)
      assert.deepEqual(
        written.sort((a, b) => a - b),
        caps,
      )
      await harness.settle()
    })

    it('sends the very bytes of a body that needs nothing added', async () => {
      const accessToken = await harness.createUser()
      const body = '{ "messages":[{"role":"user","content":"\\u00e9 é"}],\n  "model" : "gpt-4o", "x":1e400}'
      simulated.clearServed()
      await call(harness.port, { path: '/v1/chat/completions', accessToken, body })
      assert.equal(simulated.served()[0]?.body, body)
    })
  })
}
