import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { databases } from '../support/stores.ts'

/** A model is subject to a user's list and limits wherever a body names it. */
for (const database of databases) {
  describe(`models named elsewhere in a body on ${database.name}`, () => {
    let simulated: SimulatedUpstream
    let harness: Harness
    before(async () => {
      simulated = await openSimulatedUpstream({ port: 0 })
      const upstreams = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(simulated.url, { provider, models: ['claude-*', '*'] }),
      )
      harness = await openHarness(database, { upstreams })
    })
    after(async () => {
      await harness.close()
      await simulated.close()
    })

    const messages = [{ role: 'user', content: 'Hi' }]
    const asking = {
      advisor: {
        path: '/v1/messages',
        body: {
          model: 'claude-a',
          tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'claude-b' }],
        },
      },
      fallbacks: { path: '/v1/messages', body: { model: 'claude-a', fallbacks: [{ model: 'claude-b' }] } },
      'any fallback': { path: '/v1/messages', body: { model: 'claude-a', fallbacks: 'default' } },
      models: { path: '/v1/chat/completions', body: { model: 'claude-a', models: ['claude-b'] } },
      'any of a router': {
        path: '/v1/chat/completions',
        body: { model: 'claude-a', context_window_fallbacks: [{ 'claude-a': ['claude-b'] }] },
      },
      preset: { path: '/v1/chat/completions', body: { model: 'claude-a', preset: 'mine' } },
      'preset in the name': { path: '/v1/chat/completions', body: { model: 'claude-a@preset/mine' } },
    }
    for (const [name, { path, body }] of Object.entries(asking)) {
      const ask = (accessToken: string, more = {}) =>
        call(harness.port, { path, accessToken, body: { max_tokens: 50, messages, ...body, ...more } })

      it(`${name}: by the list of models`, async () => {
        const narrow = await harness.createUser({ limits: { allowedModels: ['claude-a*'] } })
        simulated.clearServed()
        const refused = await ask(narrow)
        assert.ok(refused.status === 403 || refused.status === 404, refused.text)
        assert.equal(simulated.served().length, 0)
        assert.equal((await ask(await harness.createUser())).status, 200)
      })

      it(`${name}: by its own family's limit, and not past another's`, async () => {
        const own = await harness.createUser({ quotaLimits: { claude: 10_000 } })
        assert.equal((await ask(own)).status, 200)
        const other = await harness.createUser({ quotaLimits: { gpt4: 10_000 } })
        const isOpen = name.includes('preset') || name.includes('any')
        if (isOpen) assert.notEqual((await ask(other)).status, 200)
        else assert.equal((await ask(other)).status, 200)
      })
    }

    it('by what the upstream is meant to serve', async (t) => {
      const upstreams = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(simulated.url, { provider, models: ['claude-a*'] }),
      )
      const narrow = await openHarness(database, { upstreams })
      t.after(() => narrow.close())
      const accessToken = await narrow.createUser()
      for (const name of ['advisor', 'fallbacks', 'models'] as const) {
        const { path, body } = asking[name]
        const ask = (more: object) =>
          call(narrow.port, { path, accessToken, body: { max_tokens: 50, messages, ...body, ...more } })
        simulated.clearServed()
        const refused = await ask({})
        assert.equal(refused.status, 404, refused.text)
        assert.match(refused.text, /claude-b/)
        assert.equal(simulated.served().length, 0)
      }
      const within = { model: 'claude-a', max_tokens: 50, messages, models: ['claude-a2'] }
      const served = await call(narrow.port, { path: '/v1/chat/completions', accessToken, body: within })
      assert.equal(served.status, 200, served.text)
      await narrow.settle()
    })

    it('of a family with a limit of its own', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { gpt4: 10_000 } })
      const body = { model: 'claude-a', models: ['gpt-4o'], messages }
      const { status, text } = await call(harness.port, { path: '/v1/chat/completions', accessToken, body })
      assert.ok(status === 403 || status === 404, text)
      assert.match(text, /quota of gpt4 is apart/)
      await harness.settle()
    })
  })
}
