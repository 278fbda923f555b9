import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Scripted } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/** Which quota a model's name counts to, through the whole gateway. */
for (const database of databases) {
  describe(`names of models and their quotas on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    before(async () => {
      upstream = await openScripted(json(chatAnswer))
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        policy: { families: builtInFamilies },
      })
    })
    after(async () => {
      await harness.close()
      await upstream.close()
    })

    const ask = (accessToken: string, model: string) =>
      call(harness.port, {
        path: '/v1/chat/completions',
        accessToken,
        body: { model, max_tokens: 20, messages: [] },
      })

    async function usedOf(accessToken: string): Promise<Readonly<Record<string, number>>> {
      const answer = await call(harness.port, { method: 'GET', path: '/v1/usage', accessToken })
      const { families } = JSON.parse(answer.text) as { families: { family: string; used: number }[] }
      return Object.fromEntries(families.map(({ family, used }) => [family, used]))
    }

    it('serves a model of any name without any configuration, and counts it', async () => {
      const accessToken = await harness.createUser()
      assert.deepEqual(Object.keys(await usedOf(accessToken)), ['gpt4-32k', 'turbo', 'gpt4', 'claude'])
      for (const model of ['llama3.2:1b', 'deepseek-chat', 'qwen/qwen3-coder:free'])
        assert.equal((await ask(accessToken, model)).status, 200, model)
      await harness.settle()
      assert.deepEqual(await usedOf(accessToken), { 'gpt4-32k': 0, turbo: 0, gpt4: 0, claude: 0, other: 36 })
    })

    it('holds all other names to a limit of their own', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { other: 0 } })
      assert.equal((await ask(accessToken, 'llama3')).status, 429)
      assert.equal((await ask(accessToken, 'gpt-4o')).status, 200)
      assert.equal((await usedOf(accessToken)).other, 0)
    })

    for (const model of [
      'GPT-4O-MINI',
      'openai/gpt-4o-mini',
      'openai/gpt-4o-mini:online',
      'ft:gpt-4o-mini:org::id',
      'gpt-4o-mini-2024-07-18',
    ]) {
      it(`lets no limit of gpt-4o-mini be evaded as ${model}`, async () => {
        const accessToken = await harness.createUser({ quotaLimits: { turbo: 0 } })
        const before = upstream.requests.length
        assert.equal((await ask(accessToken, model)).status, 429)
        assert.equal(upstream.requests.length, before)
      })
    }

    it('reads a permission as a whole name, in any case', async () => {
      const accessToken = await harness.createUser({ limits: { allowedModels: ['gpt-4o-mini'] } })
      assert.equal((await ask(accessToken, 'GPT-4o-mini')).status, 200)
      for (const model of ['ft:gpt-4o-mini:org::id', 'evil/gpt-4o-mini'])
        assert.notEqual((await ask(accessToken, model)).status, 200, model)
    })
  })
}
