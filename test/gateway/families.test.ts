import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Script, type Scripted } from '../support/gateway-scripted.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

/** Which quota a model's name counts to, through the whole gateway. */
for (const database of databases) {
  describe(`names of models and their quotas on ${database.name}`, () => {
    const { harness, upstream } = useGateway(database, (origin) => ({
      upstreams: [upstreamAt(origin, { provider: 'openai' })],
      policy: { families: builtInFamilies },
    }))

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
  describe(`names that an upstream resolves alike on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    let listing: Script
    const listOf = (...ids: string[]) => json({ object: 'list', data: ids.map((id) => ({ id })) })
    const families = [
      { name: 'small', models: ['oltiny'] },
      { name: 'rest', models: ['*'] },
    ]
    before(async () => {
      listing = listOf('oltiny:latest', 'big:7b')
      // Answers every name, as llama.cpp does.
      upstream = await openScripted((request, response, socket) =>
        (request.method === 'GET' ? listing : json(chatAnswer))(request, response, socket),
      )
      harness = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai', models: ['*'] })],
        policy: { families },
      })
    })
    after(async () => {
      await harness.close()
      await upstream.close()
    })

    async function statusOf(accessToken: string, model: string): Promise<number> {
      const body = { model, max_tokens: 20, messages: [] }
      return (await call(harness.port, { path: '/v1/chat/completions', accessToken, body })).status
    }

    for (const model of [
      'oltiny',
      'OLTINY',
      'library/oltiny',
      'oltiny:latest',
      'Library/OLTiny:LATEST',
      'x.y/oltiny',
    ]) {
      it(`holds ${model} to the limit of its family`, async () => {
        const accessToken = await harness.createUser({ quotaLimits: { small: 0 } })
        assert.equal(await statusOf(accessToken, model), 429)
      })
    }

    it('lets who is limited in one family ask another only for what is listed', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { small: 0 } })
      assert.equal(await statusOf(accessToken, 'big:7b'), 200)
      assert.equal(await statusOf(accessToken, 'BIG:7B'), 200)
      for (const model of ['anything', 'oltiny2', 'big'])
        assert.equal(await statusOf(accessToken, model), 404, model)
    })

    for (const model of ['gpt-9', 'claude-any', 'gpt-9/wide.gguf'])
      it(`lets no limit be evaded by ${model}, of a family without one`, async () => {
        const upstreamOf = await openHarness(database, {
          upstreams: [upstreamAt(upstream.origin, { provider: 'openai', models: ['*'] })],
          policy: { families: builtInFamilies },
        })
        listing = listOf('wide.gguf', 'gpt-listed')
        const ask = async (accessToken: string, name: string) =>
          (
            await call(upstreamOf.port, {
              path: '/v1/chat/completions',
              accessToken,
              body: { model: name, max_tokens: 20, messages: [] },
            })
          ).status
        const limited = await upstreamOf.createUser({ quotaLimits: { other: 1000 } })
        assert.equal(await ask(limited, model), 404)
        assert.equal(await ask(limited, 'wide.gguf'), 200)
        assert.equal(await ask(limited, 'gpt-listed'), 200)
        assert.equal(await ask(await upstreamOf.createUser(), model), 200)
        await upstreamOf.close()
      })

    it('lets a name pass where no other limit could be evaded by it', async () => {
      const cases = [
        {},
        { quotaLimits: { small: -1 } },
        { quotaLimits: { rest: 1000 } },
        { type: 'special' as const, quotaLimits: { small: 0 } },
      ]
      for (const edit of cases)
        assert.equal(await statusOf(await harness.createUser(edit), 'anything'), 200, JSON.stringify(edit))
    })

    it('sees a model that is there since, and forgets none while the list cannot be had', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { small: 0 } })
      listing = listOf('oltiny:latest', 'big:7b', 'new:1b')
      harness.shiftClock(61_000)
      assert.equal(await statusOf(accessToken, 'new:1b'), 200)
      listing = json({}, 500)
      harness.shiftClock(61_000)
      assert.equal(await statusOf(accessToken, 'anything'), 404)
      assert.equal(await statusOf(accessToken, 'new:1b'), 200)
    })
  })
}
