import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { createProblem, type ErrorCode, errorTable } from '#core/errors.ts'
import { createBodyBudget } from '#http/body.ts'
import { absent, anything, mismatches } from './support/admin-matching.ts'
import { by } from './support/by.ts'
import { frontEndSettings } from './support/front-end.ts'
import { call } from './support/gateway-client.ts'
import {
  type Harness,
  type HarnessOptions,
  openHarness,
  upstreamAt,
  waitUntil,
} from './support/gateway-harness.ts'
import { chatAnswer, json, openScripted, type Script, type Scripted } from './support/gateway-scripted.ts'
import { type DatabaseKind, databases } from './support/stores.ts'

/**
 * Every refusal and failure that a gateway's client can meet, as the official clients meet it: which exception
 * they raise, what it says, and whether they try again. What only the control plane says is listed at the end.
 */
type ErrorClass =
  | 'APIError'
  | 'AuthenticationError'
  | 'BadRequestError'
  | 'InternalServerError'
  | 'NotFoundError'
  | 'PermissionDeniedError'
  | 'RateLimitError'

interface Case {
  readonly code: ErrorCode
  readonly name?: string
  readonly error: ErrorClass
  /** Of a client that may try again once. */
  readonly attempts: 1 | 2
  /** By the second attempt, after the time that it was told to wait. */
  readonly isLetInThen?: boolean
  /** What `retry-after` says: exactly one second, or some. */
  readonly retryAfter?: 'one' | 'seconds'
  /** Nothing is said of asking again. Without it and without a time it is said that waiting does not help. */
  readonly isOpen?: true
  /** Which limit it says that was; nothing of one where this is absent. */
  readonly limit?: Readonly<Record<string, unknown>>
  readonly edit?: Parameters<Harness['createUser']>[0]
  /** The user's access token, where it is not one of our own making. */
  readonly chosen?: string
  readonly options?: Partial<HarnessOptions> & {
    readonly headersTimeoutMs?: number
    readonly script?: Script
  }
  /** Brings about what stands in the way; answers what undoes it. */
  readonly arrange?: (here: Here) => Promise<void>
  readonly send?: Partial<{
    readonly model: unknown
    readonly apiKey: string
    readonly headers: Record<string, string | null>
    readonly path: string
    readonly content: string
    readonly isCutShort: boolean
  }>
}

interface Here {
  readonly harness: Harness
  readonly upstream: Scripted
  readonly accessToken: string
}

const never: Script = () => {}
/** So few that a place becomes free only after seconds, which a busy machine needs between two requests. */
const perMinute = 12

/** Asks as this user, and does not wait. */
async function occupy({ harness, accessToken }: Here): Promise<void> {
  const body = { model: 'gpt-4o', messages: [] }
  call(harness.port, { path: '/v1/chat/completions', accessToken, body }).catch(() => undefined)
  await waitUntil(() => harness.gateway.openRelays() === 1, 'one runs')
}

/** Makes the user a front end, whose requests must say which person they are for. */
async function askForPeople({ harness, accessToken }: Here): Promise<void> {
  const { id } = await harness.userOf(accessToken)
  const settings = frontEndSettings({ isRequired: true })
  await harness.store.frontEnds.setFrontEnd(id, settings, { kind: 'none' }, by(Date.now()))
}

/** Asks until the pace is too much: as fast as a busy machine can, which one by one is too slow for. */
async function hurry({ harness, accessToken }: Here): Promise<void> {
  const body = { model: 'gpt-4o', messages: [] }
  const ask = () => call(harness.port, { path: '/v1/chat/completions', accessToken, body })
  for (;;) {
    const answers = await Promise.all(Array.from({ length: perMinute + 1 }, ask))
    if (answers.some(({ status }) => status === 429)) return
  }
}

const hourMs = 3_600_000

/** So late in the hour that the next one is worth waiting for. */
async function goToTheLastMoment({ harness }: Here): Promise<void> {
  harness.shiftClock(hourMs - (Date.now() % hourMs) - 1500)
}

async function guess({ harness }: Here): Promise<void> {
  for (let time = 0; time < 11; time += 1)
    await call(harness.port, {
      path: '/v1/messages',
      accessToken: `guess-${time}`,
      body: { model: 'claude-x' },
    })
}

const failing = new Error('as this test wants it')
const fail = () => {
  throw failing
}
const limitsOf = { gpt4: 2000, claude: 2000 }

/** A quota's facts; a quota without a period says nothing of a reset. */
const quota = (facts: object) => ({ name: 'quota', needed: anything, reserved: 0, resetAt: absent, ...facts })
/** The facts of a limit that no family has. */
const number = (name: string, limit: number, used: number, facts: object = {}) => {
  const others = { family: absent, needed: absent, reserved: absent, resetAt: absent }
  return { ...others, name, limit, used, ...facts }
}

const cases: readonly Case[] = [
  { code: 'bad_request', error: 'BadRequestError', attempts: 1, send: { model: 5 } },
  { code: 'bad_json', error: 'BadRequestError', attempts: 1, send: { isCutShort: true } },
  {
    code: 'missing_credential',
    error: 'AuthenticationError',
    attempts: 1,
    send: { headers: { authorization: null, 'x-api-key': null } },
  },
  { code: 'unknown_access_token', error: 'AuthenticationError', attempts: 1, send: { apiKey: 'sk-nobody' } },
  {
    code: 'user_disabled',
    error: 'PermissionDeniedError',
    attempts: 1,
    edit: { disabledAt: 1, disabledReason: 'Left' },
  },
  {
    code: 'user_expired',
    error: 'PermissionDeniedError',
    attempts: 1,
    edit: { type: 'temporary', expiresAt: 1 },
  },
  {
    code: 'address_limit',
    error: 'PermissionDeniedError',
    attempts: 1,
    edit: { limits: { maxIps: 0 } },
    limit: number('maxIps', 0, 0),
  },
  {
    code: 'address_not_allowed',
    error: 'PermissionDeniedError',
    attempts: 1,
    edit: { limits: { allowedNetworks: ['192.0.2.0/24'] } },
  },
  { code: 'person_unnamed', error: 'PermissionDeniedError', attempts: 1, arrange: askForPeople },
  {
    code: 'model_not_allowed',
    error: 'NotFoundError',
    attempts: 1,
    edit: { limits: { allowedModels: ['nothing'] } },
  },
  { code: 'model_not_served', error: 'NotFoundError', attempts: 1, send: { model: 'llama-3' } },
  {
    code: 'model_not_served',
    name: 'no upstream serves it',
    error: 'NotFoundError',
    attempts: 1,
    options: { upstreams: [] },
  },
  { code: 'not_found', error: 'NotFoundError', attempts: 1, send: { path: '/v1/nothing' } },
  { code: 'method_not_allowed', error: 'APIError', attempts: 1, send: { path: '/v1/models' } },
  {
    code: 'body_too_large',
    error: 'APIError',
    attempts: 1,
    options: { gateway: { bodyBytesMax: 1000 } },
    send: { content: 'x'.repeat(2000) },
  },
  {
    code: 'unsupported_media_type',
    error: 'APIError',
    attempts: 1,
    send: { headers: { 'content-encoding': 'compress' } },
  },
  {
    code: 'rate_limited',
    name: 'none at all',
    error: 'RateLimitError',
    attempts: 1,
    edit: { limits: { requestsPerMinute: 0 } },
    limit: number('requestsPerMinute', 0, 0),
  },
  {
    code: 'rate_limited',
    name: 'for a second',
    error: 'RateLimitError',
    attempts: 2,
    retryAfter: 'seconds',
    edit: { limits: { requestsPerMinute: perMinute } },
    limit: number('requestsPerMinute', perMinute, perMinute, { resetAt: anything }),
    arrange: hurry,
    isLetInThen: true,
  },
  {
    code: 'concurrency_limited',
    name: 'none at all',
    error: 'RateLimitError',
    attempts: 1,
    edit: { limits: { concurrentRequests: 0 } },
    limit: number('concurrentRequests', 0, 0),
  },
  {
    code: 'concurrency_limited',
    name: 'until another request ends',
    error: 'RateLimitError',
    attempts: 2,
    retryAfter: 'one',
    edit: { limits: { concurrentRequests: 1 } },
    limit: number('concurrentRequests', 1, 1),
    options: { script: never },
    arrange: occupy,
  },
  {
    code: 'quota_exceeded',
    name: 'none at all',
    error: 'RateLimitError',
    attempts: 1,
    edit: { quotaLimits: { gpt4: 0, claude: 0 } },
    limit: quota({ limit: 0, used: 0 }),
  },
  {
    code: 'quota_exceeded',
    name: 'for good',
    error: 'RateLimitError',
    attempts: 1,
    edit: { quotaLimits: limitsOf, quotaUsed: { gpt4: 1999, claude: 1999 } },
    limit: quota({ limit: 2000, used: 1999 }),
  },
  {
    code: 'quota_exceeded',
    name: 'larger than a whole period',
    error: 'RateLimitError',
    attempts: 1,
    edit: { quotaLimits: { gpt4: 100, claude: 100 }, limits: { period: 'hourly' } },
    // It never fits, so that no reset would help.
    limit: quota({ limit: 100, used: 0 }),
  },
  {
    code: 'quota_exceeded',
    name: 'until the next month',
    error: 'RateLimitError',
    attempts: 1,
    edit: { quotaLimits: limitsOf, quotaUsed: limitsOf, limits: { period: 'monthly' } },
    limit: quota({ limit: 2000, used: 2000, resetAt: anything }),
  },
  {
    code: 'quota_exceeded',
    name: 'until the hour is over, in two seconds',
    error: 'RateLimitError',
    attempts: 2,
    retryAfter: 'seconds',
    edit: { quotaLimits: limitsOf, quotaUsed: limitsOf, limits: { period: 'hourly' } },
    limit: quota({ limit: 2000, used: 2000, resetAt: anything }),
    arrange: goToTheLastMoment,
    isLetInThen: true,
  },
  {
    code: 'quota_exceeded',
    name: 'until another request ends',
    error: 'RateLimitError',
    attempts: 2,
    retryAfter: 'one',
    edit: { quotaLimits: { gpt4: 500 } },
    limit: quota({ limit: 500, used: 0, reserved: anything }),
    send: { model: 'gpt-4o' },
    options: { script: never },
    arrange: occupy,
  },
  {
    code: 'throttled',
    error: 'RateLimitError',
    attempts: 2,
    retryAfter: 'one',
    chosen: 'may be guessed',
    arrange: guess,
    isLetInThen: true,
  },
  {
    code: 'internal',
    error: 'InternalServerError',
    attempts: 2,
    isOpen: true,
    options: { gateway: { throttle: { take: fail } } },
  },
  {
    code: 'upstream_failed',
    name: 'unreachable',
    error: 'InternalServerError',
    attempts: 2,
    isOpen: true,
    arrange: ({ upstream }) => upstream.close(),
  },
  {
    code: 'upstream_failed',
    name: 'refuses our credential',
    error: 'InternalServerError',
    attempts: 1,
    options: { script: json({ error: { message: 'upstream-secret' } }, 401) },
  },
  {
    code: 'upstream_failed',
    name: 'redirects elsewhere',
    error: 'InternalServerError',
    attempts: 1,
    options: {
      script: (_request, response) => response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
    },
  },
  {
    code: 'upstream_refused',
    error: 'InternalServerError',
    attempts: 1,
    options: { script: json({ error: { message: 'Insufficient Balance' } }, 402) },
  },
  {
    code: 'upstream_refused',
    name: 'until its quota comes back',
    error: 'InternalServerError',
    attempts: 2,
    retryAfter: 'one',
    options: { script: json({ error: { code: 'insufficient_quota' } }, 429, { 'retry-after': '1' }) },
  },
  {
    code: 'store_unavailable',
    error: 'InternalServerError',
    attempts: 2,
    retryAfter: 'one',
    options: { wrapLedger: (ledger) => ({ ...ledger, admit: () => Promise.reject(failing) }) },
  },
  {
    code: 'overloaded',
    error: 'InternalServerError',
    attempts: 2,
    retryAfter: 'one',
    options: { gateway: { bodyBudget: createBodyBudget(0) } },
    send: { content: 'x'.repeat(500_000) },
  },
  {
    code: 'shutting_down',
    error: 'InternalServerError',
    attempts: 2,
    retryAfter: 'one',
    options: { script: never },
    arrange: async (here) => {
      await occupy(here)
      void here.harness.gateway.drain(2500)
    },
  },
  {
    code: 'upstream_timeout',
    error: 'InternalServerError',
    attempts: 2,
    isOpen: true,
    options: { script: never, headersTimeoutMs: 60 },
  },
]

/** What the gateway never says: it is the control plane's, or nothing enforces it yet. */
const elsewhere: readonly ErrorCode[] = [
  'unknown_admin_key',
  'session_ended',
  'claim_ended',
  'code_needed',
  'wrong_code',
  'forbidden',
  'conflict',
  'precondition_failed',
  'host_not_served',
  // Its clients do not ask by fetch: see wrong-addresses.test.ts.
  'websocket_not_served',
]

interface Raised {
  /** Undefined where it was let in. */
  readonly error: unknown
  readonly answers: readonly Response[]
  /** What stood in them. */
  readonly bodies: readonly unknown[]
}

async function raise(protocol: 'openai' | 'anthropic', { send = {} }: Case, here: Here): Promise<Raised> {
  const answers: Response[] = []
  const bodies: unknown[] = []
  const options = {
    apiKey: send.apiKey ?? here.accessToken,
    maxRetries: 1,
    defaultHeaders: send.headers ?? {},
    async fetch(input: Parameters<typeof fetch>[0], init?: RequestInit) {
      const answer = await fetch(
        input,
        send.isCutShort ? { ...init, body: String(init?.body).slice(0, -1) } : init,
      )
      // Read here, since a client that tries again throws the body away.
      const text = await answer.text()
      bodies.push(JSON.parse(text))
      const { status, headers } = answer
      answers.push(answer)
      return new Response(text, { status, headers })
    },
  }
  const model = send.model ?? (protocol === 'openai' ? 'gpt-4o' : 'claude-x')
  const body = { model, max_tokens: 400, messages: [{ role: 'user', content: send.content ?? 'Hi' }] }
  const sent =
    protocol === 'openai'
      ? new OpenAI({ baseURL: here.harness.origin, ...options }).post(send.path ?? '/v1/chat/completions', {
          body,
        })
      : new Anthropic({ baseURL: here.harness.origin, ...options }).post(send.path ?? '/v1/messages', {
          body,
        })
  const error = await Promise.resolve(sent).then(
    () => undefined,
    (raised: unknown) => raised,
  )
  return { error, answers, bodies }
}

function isWait(seconds: string | null, expected: Case['retryAfter']): boolean {
  if (expected === undefined) return seconds === null
  if (seconds === null || !/^[1-9]\d*$/.test(seconds)) return false
  switch (expected) {
    case 'one':
      return seconds === '1'
    case 'seconds':
      return Number(seconds) <= 60
  }
}

/** Where each protocol's error says which limit it was. */
function limitIn(protocol: 'openai' | 'anthropic', body: unknown): unknown {
  assert.ok(typeof body === 'object' && body !== null && 'error' in body)
  const { error } = body
  assert.ok(typeof error === 'object' && error !== null)
  const expected = protocol === 'openai' ? ['code', 'message', 'param', 'type'] : ['message', 'type']
  const { limit, ...others } = { limit: undefined, ...error }
  assert.deepEqual(Object.keys(others).sort(), expected)
  return limit
}

function familyOf(protocol: 'openai' | 'anthropic', { send = {} }: Case): string {
  return protocol === 'openai' || send.model === 'gpt-4o' ? 'gpt4' : 'claude'
}

async function withHarness(
  database: DatabaseKind,
  { edit, chosen, options = {} }: Case,
  run: (here: Here) => Promise<void>,
): Promise<void> {
  const { script, headersTimeoutMs, ...rest } = options
  const upstream = await openScripted(script ?? json(chatAnswer))
  const more = headersTimeoutMs === undefined ? {} : { headersTimeoutMs }
  const upstreams = (['openai', 'anthropic'] as const).map((provider) =>
    upstreamAt(upstream.origin, { provider, ...more }),
  )
  const harness = await openHarness(database, { upstreams, ...rest })
  try {
    if (chosen !== undefined)
      await harness.store.users.writeUsers([{ ref: { accessToken: chosen }, edit: {} }], by(Date.now()))
    await run({ harness, upstream, accessToken: chosen ?? (await harness.createUser(edit)) })
  } finally {
    await harness.close()
    await upstream.close()
  }
}

/** A busy machine may take so long that what passes with time has passed before the client asks: then once more. */
async function raiseRefused(protocol: 'openai' | 'anthropic', one: Case, here: Here) {
  for (let left = 10; ; left -= 1) {
    await one.arrange?.(here)
    const raised = await raise(protocol, one, here)
    if (!one.isLetInThen || left === 1 || raised.answers[0]?.status !== 200) return raised
  }
}

for (const database of databases) {
  describe(`what official clients raise, and whether they try again, on ${database.name}`, {
    concurrency: 8,
  }, () => {
    for (const one of cases) {
      const { code, name, error, attempts, retryAfter, isOpen, isLetInThen = false } = one
      for (const protocol of ['openai', 'anthropic'] as const) {
        it(`${protocol}: ${code}${name ? ` (${name})` : ''} is ${error}`, () =>
          withHarness(database, one, async (here) => {
            const { error: raised, answers, bodies } = await raiseRefused(protocol, one, here)
            assert.equal(answers.length, attempts)
            const [first = assert.fail()] = answers
            assert.equal(first.status, errorTable[code].status)
            const isFinal = retryAfter === undefined && !isOpen
            assert.equal(first.headers.get('x-should-retry'), isFinal ? 'false' : null)
            const wait = first.headers.get('retry-after')
            assert.ok(isWait(wait, retryAfter), `retry-after: ${wait}`)
            const facts = limitIn(protocol, bodies[0])
            assert.deepEqual(mismatches(facts, one.limit ?? absent), [])
            if (one.limit?.name === 'quota')
              assert.deepEqual(mismatches(facts, { family: familyOf(protocol, one) }), [])
            assert.match(first.headers.get('x-request-id') ?? '', /^req_/)
            if (isLetInThen) {
              assert.equal(raised, undefined)
              return
            }
            const expected = protocol === 'openai' ? OpenAI[error] : Anthropic[error]
            assert.ok(raised instanceof expected, String(raised))
            assert.equal(raised.status, errorTable[code].status)
            assert.equal(raised.requestID, answers.at(-1)?.headers.get('x-request-id'))
            assert.ok(!raised.message.includes('upstream-secret'))
            // What a program finds in the exception: one hands it the error, the other the whole body.
            const told: unknown = protocol === 'openai' ? { error: raised.error } : raised.error
            assert.deepEqual(told, bodies.at(-1))
          }))
      }
    }

    it('covers every code that the gateway may say', () => {
      const covered = new Set([...cases.map(({ code }) => code), ...elsewhere])
      assert.deepEqual([...covered].toSorted(), Object.keys(errorTable).toSorted())
    })

    it('anthropic: a stream that is cut raises what it was cut for, and its repeat is refused for good', () => {
      const script: Script = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write('event: ping\ndata: {"type":"ping"}\n\n')
      }
      const one: Case = { code: 'user_disabled', error: 'APIError', attempts: 1, options: { script } }
      return withHarness(database, one, async ({ harness, accessToken }) => {
        const client = new Anthropic({ apiKey: accessToken, baseURL: harness.origin, maxRetries: 0 })
        const stream = await client.messages.create({
          model: 'claude-x',
          max_tokens: 9,
          messages: [],
          stream: true,
        })
        const reading = (async () => {
          for await (const _ of stream) assert.fail('a ping is no event of the message')
        })()
        await waitUntil(() => harness.gateway.openRelays() === 1, 'it runs')
        const { id } = await harness.userOf(accessToken)
        const edit = { disabledAt: Date.now(), disabledReason: 'Left' }
        await harness.store.users.writeUsers([{ ref: { accessToken }, edit }], by(Date.now()))
        harness.gateway.cutUser(id, createProblem('user_disabled', 'Disabled just now.'))
        await assert.rejects(
          reading,
          (error) => error instanceof Anthropic.APIError && /Disabled just now/.test(error.message),
        )
        await waitUntil(() => harness.gateway.openRelays() === 0, 'it is booked')
        const used = await harness.usedBy(accessToken)
        // Claude Code asks the same again within milliseconds, not streamed.
        const again = new Anthropic({ apiKey: accessToken, baseURL: harness.origin, maxRetries: 2 })
        await assert.rejects(
          Promise.resolve(again.messages.create({ model: 'claude-x', max_tokens: 9, messages: [] })),
          (error) =>
            error instanceof Anthropic.PermissionDeniedError &&
            error.type === 'permission_error' &&
            error.headers.get('x-should-retry') === 'false' &&
            /Left/.test(error.message),
        )
        assert.deepEqual([await harness.usedBy(accessToken), harness.admitted.length], [used, 1])
      })
    })
  })
}
