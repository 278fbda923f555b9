import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { openScripted, type Scripted, type ScriptedRequest } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/** What the upstream states, whatever it was asked. */
const usages = {
  openai: {
    prompt_tokens: 1200,
    completion_tokens: 41,
    total_tokens: 1241,
    prompt_tokens_details: { cached_tokens: 1003 },
    completion_tokens_details: { reasoning_tokens: 30 },
  },
  anthropic: {
    input_tokens: 17,
    output_tokens: 41,
    cache_read_input_tokens: 1003,
    cache_creation_input_tokens: 90,
  },
}
const usagesOf: Readonly<Record<string, object>> = {
  '/v1/messages': usages.anthropic,
  '/v1/images/generations': { total_tokens: 1100, input_tokens: 44, output_tokens: 1056 },
}
const messages = [{ role: 'user', content: 'Hi' }]

for (const database of databases) {
  describe(`weights at the gateway on ${database.name}`, () => {
    let scripted: Scripted
    let harness: Harness
    const bodies: Record<string, unknown>[] = []
    before(async () => {
      scripted = await openScripted(({ url, body }: ScriptedRequest, response) => {
        bodies.push(JSON.parse(body) as Record<string, unknown>)
        const usage = usagesOf[url] ?? usages.openai
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ model: 'm', usage }))
      })
      harness = await openHarness(database, {
        upstreams: (['openai', 'anthropic'] as const).map((provider) =>
          upstreamAt(scripted.origin, {
            name: provider,
            provider,
            models: [provider === 'openai' ? 'gpt-*' : 'claude-*'],
          }),
        ),
        policy: {
          output: { floor: 100, share: 0.25, unstated: 32_768, least: 64 },
          weights: {
            all: { cacheRead: 0.1 },
            families: { claude: { cacheWritten: 1.25, output: 5 }, turbo: { output: 5 } },
          },
        },
      })
    })
    after(async () => {
      await harness.close()
      await scripted.close()
    })

    for (const { path, model, family, units } of [
      { path: '/v1/chat/completions', model: 'gpt-4o', family: 'gpt4', units: 197 + 101 + 41 },
      // 100.3 and 112.5 together are 212.8.
      { path: '/v1/messages', model: 'claude-x', family: 'claude', units: 17 + 213 + 5 * 41 },
    ])
      it(`${path}: charges, and answers what is left, in units of the quota`, async () => {
        const accessToken = await harness.createUser({ quotaLimits: { [family]: 10_000 } })
        const body = { model, messages, max_tokens: 50 }
        for (const times of [1, 2]) {
          const { status, headers } = await call(harness.port, { path, accessToken, body })
          assert.equal(status, 200)
          await harness.settle()
          assert.equal(await harness.usedBy(accessToken), times * units)
          const hold = family === 'claude' ? 5 * 50 : 50
          const left = Number(
            headers['x-ratelimit-remaining-tokens'] ?? headers['anthropic-ratelimit-tokens-remaining'],
          )
          const used = (times - 1) * units + hold
          assert.ok(left < 10_000 - used && left > 10_000 - used - 40, `${left} are left`)
        }
        const { text } = await call(harness.port, {
          method: 'GET',
          path: '/v1/usage?bucket=day',
          accessToken,
        })
        const told = JSON.parse(text) as {
          families: { family: string; used: number; remaining: number }[]
          history: { rows: { family: string; cacheRead: number; units: number }[] }
        }
        const quota = told.families.find((each) => each.family === family)
        assert.deepEqual([quota?.used, quota?.remaining], [2 * units, 10_000 - 2 * units])
        const [row] = told.history.rows
        assert.deepEqual([row?.family, row?.cacheRead, row?.units], [family, 2006, 2 * units])
      })

    it('holds an image, which nothing in the request bounds, as output', async () => {
      const path = '/v1/images/generations'
      const body = { model: 'gpt-image-1-mini', prompt: 'A tollgate', n: 2 }
      const short = await harness.createUser({ quotaLimits: { turbo: 2 * 6400 * 5 } })
      const refused = await call(harness.port, { path, accessToken: short, body })
      assert.equal(refused.status, 429, 'the prompt comes on top')
      const accessToken = await harness.createUser({ quotaLimits: { turbo: 2 * 6400 * 5 + 40 } })
      assert.equal((await call(harness.port, { path, accessToken, body })).status, 200)
      await harness.settle()
      assert.equal(await harness.usedBy(accessToken), 44 + 5 * 1056)
    })

    it('writes as a cap the tokens for which the units are enough', async () => {
      const accessToken = await harness.createUser({ quotaLimits: { claude: 8000 } })
      const body = { model: 'claude-x', messages, max_tokens: 64_000 }
      const { status, headers } = await call(harness.port, { path: '/v1/messages', accessToken, body })
      assert.equal(status, 200)
      // A quarter of what is left, at five units for each.
      assert.equal(headers['x-tollgate-output-cap'], '400')
      assert.equal(bodies.at(-1)?.max_tokens, 400)
      await harness.settle()
    })
  })
}
