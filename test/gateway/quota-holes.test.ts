import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { WeightSettings } from '#core/weights.ts'
import { call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { openScripted, type Scripted, type ScriptedRequest } from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

/**
 * No body makes a hole in a quota: whatever bounds it states, nested, spelled otherwise or not at all, against a server
 * that obeys one of them and writes as much as that lets it. PROPERTY_RUNS says how many bodies, PROPERTY_SEED repeats
 * the ones that a failure printed.
 */
const runs = Number(process.env.PROPERTY_RUNS ?? 300)
const seed = process.env.PROPERTY_SEED

type Body = Readonly<Record<string, unknown>>
/** The bound that a server takes from a body; undefined where it finds none. */
type Obeys = (body: Body) => unknown

const first =
  (...names: string[]): Obeys =>
  (body) =>
    names.map((name) => body[name]).find((value) => value !== undefined && value !== null)
const within = (body: Body, name: string): Body => (body[name] ?? {}) as Body
const own: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'max_tokens',
  '/v1/completions': 'max_tokens',
  '/v1/responses': 'max_output_tokens',
  '/v1/messages': 'max_tokens',
}

interface Server {
  readonly name: string
  readonly obeys: (path: string) => Obeys
  readonly outputCapMember?: string
  readonly isLenient?: true
  /** Where it finds how many answers to write, if not in the body as it stands. */
  readonly counts?: (body: Body) => Body
}

function takenOver(body: Body): Body {
  const [fallback] = Array.isArray(body.fallbacks) ? body.fallbacks : []
  return { ...body, ...fallback, ...within(fallback ?? {}, 'extra_body') }
}

const servers: readonly Server[] = [
  { name: 'own', obeys: (path) => first(own[path] ?? '') },
  {
    name: 'configured',
    outputCapMember: 'max_completion_tokens',
    obeys: () => first('max_completion_tokens'),
  },
  // vLLM, and Ollama since it knows both.
  {
    name: 'newer',
    obeys: (path) => first(...(path.includes('chat') ? ['max_completion_tokens'] : []), own[path] ?? ''),
  },
  { name: 'llamacpp', obeys: (path) => first('n_predict', own[path] ?? '') },
  { name: 'tabby', obeys: (path) => first(own[path] ?? '', 'max_completion_tokens', 'max_length') },
  // LiteLLM takes what stands in there for the request's own.
  {
    name: 'merging',
    obeys: (path) => (body) => first(own[path] ?? '')({ ...body, ...within(body, 'extra_body') }),
  },
  {
    name: 'options',
    obeys: (path) => (body) => within(body, 'options').num_predict ?? first(own[path] ?? '')(body),
  },
  // A model that takes over has bounds of its own.
  {
    name: 'fallback',
    obeys: (path) => (body) => {
      const [fallback] = Array.isArray(body.fallbacks) ? body.fallbacks : []
      return first(own[path] ?? '')({
        ...body,
        ...(fallback?.max_tokens != null && { max_tokens: fallback.max_tokens }),
      })
    },
  },
  // LiteLLM: a fallback's members take the place of the request's, and what is merged into it as well.
  {
    name: 'takeover',
    obeys: (path) => (body) => first(own[path] ?? '')(takenOver(body)),
    counts: takenOver,
  },
  // Go: names in any case, the last one counts.
  {
    name: 'go',
    obeys: (path) => (body) =>
      Object.entries(body).findLast(([name]) => name.toLowerCase() === own[path])?.[1],
  },
  { name: 'texts', isLenient: true, obeys: (path) => first('max_new_tokens', own[path] ?? '') },
]

/** What a server writes for each answer that nothing bounds. */
const boundless = 1_000_000

function written(server: Server, path: string, body: Body): number {
  const bound = server.obeys(path)(body)
  const figure = server.isLenient ? Number(bound) : bound
  const each = typeof figure === 'number' && figure >= 1 ? Math.floor(figure) : boundless
  const { n, best_of, n_cmpl } = server.counts?.(body) ?? body
  const counts = [n, best_of, n_cmpl].map((count) => (typeof count === 'number' ? count : 1))
  const choices = path.includes('completions') ? Math.max(1, ...counts) : 1
  const lists = [body.prompt, body.prompt_embeds].map((list) => (Array.isArray(list) ? list.length : 0))
  const prompts = path === '/v1/completions' ? Math.max(1, (lists[0] ?? 0) + (lists[1] ?? 0)) : 1
  return each * choices * prompts
}

/** Each use reads the whole conversation, what was advised before included, and writes as much as it may. */
function advised(path: string, body: Body, answer: number): readonly object[] {
  const [tool] = Array.isArray(body.tools) ? body.tools : []
  if (!path.endsWith('/messages') || !tool) return []
  const positive = (bound: unknown, otherwise: number) =>
    typeof bound === 'number' && bound >= 1 ? Math.floor(bound) : otherwise
  const each = positive(tool.max_tokens, 64_000)
  return Array.from({ length: Math.min(50, positive(tool.max_uses, 50)) }, (_, index) => ({
    type: 'advisor_message',
    input_tokens: 1 + answer + index * each,
    output_tokens: each,
  }))
}

const failingKey = 'of-one-that-fails'

/** Answers with figures alone: one unit of input, and all the output that the body lets it write. */
function answerOf({ url, headers, body: text }: ScriptedRequest): { status: number; body: object } {
  const body = JSON.parse(text) as Body
  const [, name = ''] = String(body.model).split('/')
  const server = servers.find((each) => each.name === name)
  // The first of two: it fails, and the request goes on to one that obeys another member.
  const isFailing = headers.authorization?.endsWith(failingKey) || headers['x-api-key'] === failingKey
  if (!server || isFailing) return { status: 503, body: { error: { message: 'busy' } } }
  const output = written(server, url, body)
  const advisors = advised(url, body, output)
  const usage =
    url.includes('chat') || url === '/v1/completions'
      ? { prompt_tokens: 1, completion_tokens: output, total_tokens: 1 + output }
      : { input_tokens: 1, output_tokens: output, ...(advisors.length > 0 && { iterations: advisors }) }
  return { status: 200, body: { model: 'm', usage } }
}

const value = fc.oneof(
  { weight: 18, arbitrary: fc.constantFrom<unknown>(1, 5, 40, 300, 5000, 128_000, 9_007_199_254_740_991) },
  { weight: 9, arbitrary: fc.constantFrom<unknown>(-1, 0, -2, null) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>('7', '90000', 1.5, true, {}, [], 1e300, '') },
)
const names =
  'max_tokens max_completion_tokens max_output_tokens n_predict num_predict max_new_tokens max_length'.split(
    ' ',
  )
const bounds = (more: readonly string[]) =>
  fc.dictionary(
    fc.oneof(
      { weight: 15, arbitrary: fc.constantFrom(...names) },
      { weight: 1, arbitrary: fc.constantFrom(...more) },
    ),
    value,
    { maxKeys: 4 },
  )
const bodies = fc.record(
  {
    bounds: bounds(['Max_Tokens', 'MAX_TOKENS', 'max_toKens', 'N_predict']),
    options: bounds(names),
    extra_body: bounds(['options', 'n']),
    fallbacks: fc.array(
      fc.record(
        {
          model: fc.constant('claude-b'),
          max_tokens: value,
          n: fc.constantFrom(1, 3, 100),
          extra_body: bounds(names),
        },
        { requiredKeys: ['model'] },
      ),
      { maxLength: 2 },
    ),
    tools: fc
      .record({ max_uses: value, max_tokens: value }, { requiredKeys: [] })
      .map((tool) => [{ type: 'advisor_20260301', name: 'advisor', model: 'claude-b', ...tool }]),
    prompt_embeds: fc.constantFrom<unknown>('YQ==', ['YQ==', 'YQ=='], null),
    thinking: fc.record({
      type: fc.constantFrom('enabled', 'disabled'),
      budget_tokens: fc.constantFrom(1024, 90_000),
    }),
    min_tokens: fc.constantFrom(1, 50, 10_000),
    counts: fc.dictionary(fc.constantFrom('n', 'best_of', 'n_cmpl'), fc.integer({ min: 1, max: 5 }), {
      maxKeys: 2,
    }),
    prompt: fc.constantFrom<unknown>('a', ['a', 'b'], ['a', 'b', 'c']),
  },
  { requiredKeys: ['bounds'] },
)
const cases = fc.record({
  path: fc.constantFrom(...Object.keys(own)),
  server: fc.constantFrom(...servers),
  failsFirst: fc.boolean(),
  // Large ones are drawn more often: most bodies ask for more than the small ones hold, and are refused.
  limit: fc.constantFrom(0, 150, 700, 2000, 30_000, 30_000, 100_000, 100_000, 300_000),
  atOnce: fc.constantFrom(1, 3),
  body: bodies,
})

/** More input than a server states, so that nothing hangs on the estimate of it. */
const messages = [{ role: 'user', content: 'Hi' }]

const [database] = databases

/** Without weights, and where a unit of output or of input counts for more, or for less, than one of the quota. */
const weightings: readonly {
  readonly name: string
  readonly weights?: WeightSettings
  /** Of the bodies. */
  readonly share: number
  /** How much larger limits are, so that as much is let in. */
  readonly room: number
}[] = [
  { name: '', share: 1, room: 1 },
  {
    name: ', output dear',
    weights: { all: { output: 4.999, cacheRead: 0.1 }, families: {} },
    share: 1 / 3,
    room: 5,
  },
  {
    name: ', input dear and output cheap',
    weights: { all: { output: 9 }, families: { claude: { input: 2.5, cacheWritten: 3, output: 0.333 } } },
    share: 1 / 3,
    room: 3,
  },
]

for (const { name: what, weights, share, room } of weightings)
  describe(`quotas have no hole${what}`, () => {
    const count = Math.ceil(runs * share)
    let scripted: Scripted
    let harness: Harness
    before(async () => {
      scripted = await openScripted((request, response) => {
        const { status, body } = answerOf(request)
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
      const upstreams = servers.flatMap(({ name, outputCapMember }) =>
        (['openai', 'anthropic'] as const).flatMap((provider) => [
          // Configured for what the second does not obey, and failing.
          upstreamAt(scripted.origin, {
            name: `${provider}-${name}-failing`,
            provider,
            models: [`claude-/${name}/failing`, 'claude-b'],
            apiKey: failingKey,
            outputCapMember: 'max_completion_tokens',
          }),
          upstreamAt(scripted.origin, {
            name: `${provider}-${name}`,
            provider,
            models: [`claude-/${name}/*`, 'claude-b'],
            ...(outputCapMember !== undefined && { outputCapMember }),
          }),
        ]),
      )
      assert.ok(database)
      harness = await openHarness(database, {
        upstreams,
        policy: {
          output: { floor: 8192, share: 0.25, unstated: 32_768, least: 64 },
          ...(weights && { weights }),
        },
        // The bound: no estimate of the input may be wrong to the quota's cost.
        gateway: { inputEstimate: 'bound' },
      })
    })
    after(async () => {
      await harness.close()
      await scripted.close()
    })

    it(`in ${count} bodies`, async () => {
      const statuses = new Map<number, number>()
      await fc.assert(
        fc.asyncProperty(cases, async ({ path, server, failsFirst, atOnce, body, ...drawn }) => {
          const limit = drawn.limit * room
          const accessToken = await harness.createUser({ quotaLimits: { claude: limit } })
          const { bounds, counts, ...rest } = body
          const model = `claude-/${server.name}/${failsFirst ? 'failing' : 'alone'}`
          const text = JSON.stringify({ model, messages, ...bounds, ...counts, ...rest })
          const sent = Array.from({ length: atOnce }, () =>
            call(harness.port, { path, accessToken, body: text }),
          )
          for (const { status } of await Promise.all(sent)) {
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
          }
          const used = await harness.usedBy(accessToken)
          assert.ok(used <= limit, `${used} of ${limit} used, ${path}, ${server.name}: ${text}`)
        }),
        { numRuns: count, ...(seed !== undefined && { seed: Number(seed) }) },
      )
      const answers = [...statuses.values()].reduce((sum, each) => sum + each, 0)
      assert.ok((statuses.get(200) ?? 0) > answers / 5, `only refusals: ${JSON.stringify([...statuses])}`)
      await harness.settle()
    })
  })
