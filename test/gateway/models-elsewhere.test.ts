import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { call, openRaw } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatUsage,
  done,
  event,
  json,
  messageStart,
  openScripted,
  pieces,
  type Script,
  type Scripted,
} from '../support/gateway-scripted.ts'
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
      ...Object.fromEntries(
        ['deployment_id', 'engine', 'custom_llm_provider', 'api_base'].map((name) => [
          `any by ${name}`,
          { path: '/v1/chat/completions', body: { model: 'claude-a', [name]: 'claude-b' } },
        ]),
      ),
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

    it('in a list with commas: refused for every user', async () => {
      simulated.clearServed()
      const model = 'claude-a,claude-b'
      const answer = await call(harness.port, {
        path: '/v1/chat/completions',
        accessToken: await harness.createUser(),
        body: { model, messages },
      })
      assert.equal(answer.status, 400, answer.text)
      assert.match(answer.text, /without a comma/)
      assert.equal(simulated.served().length, 0)
    })

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

const asked = [{ role: 'user', content: 'Hi' }]
const chat = (body: object) => ({
  path: '/v1/chat/completions',
  body: { model: 'claude-a', max_tokens: 50, messages: asked, ...body },
})
const message = (body: object) => ({
  path: '/v1/messages',
  body: { model: 'claude-a', max_tokens: 50, messages: asked, ...body },
})
const figures = (input: number, output: number) => ({ input_tokens: input, output_tokens: output })
const advised = {
  ...figures(7, 5),
  iterations: [
    { type: 'message', model: 'claude-a', ...figures(7, 5) },
    { type: 'advisor_message', model: 'gpt-4o-2024-11-20', ...figures(20, 3) },
    { type: 'compaction', model: null, ...figures(100, 10) },
  ],
}
const fellBack = {
  ...figures(9, 4),
  iterations: [
    { type: 'message', model: 'claude-a', ...figures(9, 1) },
    { type: 'fallback_message', model: 'gpt-4o', ...figures(9, 4) },
  ],
}
const ended = (usage: object) =>
  event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage }, 'message_delta')
const advisor = { tools: [{ type: 'advisor_20260301', name: 'advisor', model: 'gpt-4o' }] }
const fallbacks = { fallbacks: [{ model: 'gpt-4o' }] }
const models = { models: ['openai/gpt-4o'] }
const chunkBy = (model: string, content: string) =>
  event({ object: 'chat.completion.chunk', model, choices: [{ index: 0, delta: { content } }] })
const wholeBy = (model: string) => ({ ...chatAnswer, model })
const gzipped =
  (value: object): Script =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    response.end(gzipSync(JSON.stringify(value)))
  }
const inPieces = (text: string) =>
  Array.from({ length: Math.ceil(text.length / 7) }, (_, at) => text.slice(at * 7, at * 7 + 7))

/** Request, answer, and what is charged to the request's own family and to `gpt4`. */
const counted: readonly (readonly [string, ReturnType<typeof chat>, Script, number, number])[] = [
  [
    'an advisor',
    message(advisor),
    json({ type: 'message', model: 'claude-a', content: [{ type: 'text', text: 'x' }], usage: advised }),
    122,
    23,
  ],
  [
    'an advisor, in a stream',
    message({ ...advisor, stream: true }),
    pieces(inPieces(messageStart(7) + ended(advised))),
    122,
    23,
  ],
  [
    'a fallback',
    message(fallbacks),
    json({ type: 'message', model: 'gpt-4o', content: [{ type: 'text', text: 'x' }], usage: fellBack }),
    0,
    13,
  ],
  [
    'a fallback, in a stream that began with another',
    message({ ...fallbacks, stream: true }),
    pieces([messageStart(9), ended(fellBack)]),
    0,
    13,
  ],
  ['a route', chat(models), json(wholeBy('openai/gpt-4o-2024-11-20')), 0, 12],
  ['a route, compressed', chat(models), gzipped(wholeBy('openai/gpt-4o')), 0, 12],
  ['a route that was not taken', chat(models), json(wholeBy('anthropic/claude-a')), 12, 0],
  [
    'a route, in a stream that escapes slashes',
    chat({ ...models, stream: true }),
    pieces(
      inPieces(
        (chunkBy('openai/gpt-4o', 'Hello') + chatUsage(7, 5) + done).replaceAll('openai/gpt', 'openai\\/gpt'),
      ),
    ),
    0,
    12,
  ],
  [
    'a route of responses',
    { path: '/v1/responses', body: { model: 'claude-a', input: 'Hi', ...models } as never },
    json({ status: 'completed', model: 'gpt-4o', output: [], usage: { ...figures(7, 5), total_tokens: 12 } }),
    0,
    12,
  ],
  [
    'a route of responses, in a stream',
    { path: '/v1/responses', body: { model: 'claude-a', input: 'Hi', stream: true, ...models } as never },
    pieces([
      event({ type: 'response.created', response: { status: 'in_progress', model: 'gpt-4o', usage: null } }),
      event({
        type: 'response.completed',
        response: { status: 'completed', model: 'gpt-4o', usage: { ...figures(7, 5), total_tokens: 12 } },
      }),
    ]),
    0,
    12,
  ],
  ['a model beside one that was not named', chat({}), json(wholeBy('gpt-4o')), 12, 0],
]

for (const database of databases) {
  describe(`what models named elsewhere use on ${database.name}`, () => {
    let upstream: Scripted
    let harness: Harness
    before(async () => {
      upstream = await openScripted(() => {})
      const upstreams = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(upstream.origin, { provider }),
      )
      harness = await openHarness(database, { upstreams })
    })
    after(async () => {
      await harness.close()
      await upstream.close()
    })

    async function usedOf(accessToken: string): Promise<readonly number[]> {
      const { quotas } = await harness.userOf(accessToken)
      return ['claude', 'gpt4'].map((family) => quotas.get(family)?.used ?? 0)
    }

    for (const [name, request, script, own, other] of counted) {
      it(`${name}: each counts to its own family`, async () => {
        upstream.script = script
        const accessToken = await harness.createUser({ quotaLimits: { claude: 20_000 } })
        const answer = await call(harness.port, { ...request, accessToken })
        assert.equal(answer.status, 200, answer.text)
        await harness.settle()
        assert.deepEqual(await usedOf(accessToken), [own, other])
        assert.equal(harness.settlements.at(-1)?.isEstimated, false)
      })
    }

    it('a stream that is cut: the estimate counts to the model that answered', async () => {
      upstream.script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(chunkBy('openai/gpt-4o', 'Hello, this is some text.'))
      }
      const accessToken = await harness.createUser({ quotaLimits: { claude: 20_000 } })
      const client = openRaw(harness.port, { ...chat({ ...models, stream: true }), accessToken })
      await waitUntil(() => client.received().includes('Hello'), 'the text has come')
      client.hangUp()
      await harness.settle()
      const [own, other = 0] = await usedOf(accessToken)
      assert.deepEqual([own, other > 5, harness.settlements.at(-1)?.isEstimated], [0, true, true])
    })

    it('shows both as requests, found by their ids and in pages', async () => {
      upstream.script = json(wholeBy('gpt-4o'))
      const accessToken = await harness.createUser()
      await call(harness.port, { ...chat(models), accessToken })
      await harness.settle()
      const { id: userId } = await harness.userOf(accessToken)
      const { requests } = harness.store
      const first = await requests.listRequests({ filter: { userId }, limit: 1 })
      const second = await requests.listRequests({
        filter: { userId },
        limit: 1,
        ...(first.next !== undefined && { after: first.next }),
      })
      const booked = [...first.requests, ...second.requests]
      assert.deepEqual(
        booked.map(({ family, model, units, route }) => [family, model, units, route]),
        [
          ['gpt4', 'openai/gpt-4o', 12, '/v1/chat/completions'],
          ['claude', 'claude-a', 0, '/v1/chat/completions'],
        ],
      )
      assert.equal(booked[0]?.id, `${booked[1]?.id}.1`)
      assert.deepEqual(await requests.findRequest(booked[0]?.id ?? ''), booked[0])
      assert.equal((await harness.userOf(accessToken)).promptCount, 1)
    })
  })
}
