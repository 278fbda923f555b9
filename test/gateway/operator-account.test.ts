import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type Call, call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import {
  chatAnswer,
  chatChunk,
  event,
  json,
  openScripted,
  pieces,
  type Script,
  type Scripted,
  written,
} from '../support/gateway-scripted.ts'
import { databases } from '../support/stores.ts'

const chat = { path: '/v1/chat/completions', body: { model: 'gpt-4o', messages: [] } }
const message = { path: '/v1/messages', body: { model: 'claude-x', max_tokens: 5, messages: [] } }
const quotaSpent = {
  error: {
    message:
      'You exceeded your current quota in organization org-operator123, please check your plan and billing details.',
    type: 'insufficient_quota',
    param: null,
    code: 'insufficient_quota',
  },
}
const balance = {
  type: 'error',
  error: {
    type: 'invalid_request_error',
    message: 'Your credit balance is too low to access the Anthropic API.',
  },
}
const keyLimit = {
  error: { message: 'Key limit exceeded (total limit).', code: 403 },
  user_id: 'user_operator0123456789',
}
const badKey = [{ error: { code: 400, message: 'API key not valid. Please pass a valid API key.' } }]

const compressed: Script = (_request, response) => {
  response.writeHead(429, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
  response.end(gzipSync(JSON.stringify(quotaSpent)))
}

const quotaEvent = event(quotaSpent)
const coded: Script = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'x-gzip' })
  response.end(gzipSync(JSON.stringify(quotaSpent)))
}
const slowly: Script = async (_request, response) => {
  const text = JSON.stringify(quotaSpent)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length })
  for (const piece of [text.slice(0, 90), text.slice(90)]) {
    response.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  response.end()
}
const failedResponse = {
  type: 'response.failed',
  response: {
    id: 'resp_1',
    status: 'failed',
    error: { code: 'insufficient_quota', message: 'org-operator123' },
  },
}

/** What comes of the operator's account, the status and code that a user gets where no other upstream is left. */
const refusals: readonly (readonly [string, Script, number, string])[] = [
  ['402', json({ error: { message: 'Insufficient Balance' } }, 402), 503, 'upstream_refused'],
  ['403 about billing', json(keyLimit, 403), 503, 'upstream_refused'],
  ['400 about billing', json(balance, 400), 503, 'upstream_refused'],
  ['429 insufficient_quota', json(quotaSpent, 429), 503, 'upstream_refused'],
  ['429 insufficient_quota, compressed', compressed, 503, 'upstream_refused'],
  ['400 about the key', json(badKey, 400), 502, 'upstream_failed'],
  ['401', json({ error: { message: 'org-operator123' } }, 401), 502, 'upstream_failed'],
  ['200 with an error as the body', json(quotaSpent), 503, 'upstream_refused'],
  [
    '200 with the account beside an answer without choices',
    json({ choices: null, base_resp: { status_code: 1008, status_msg: 'insufficient balance, operator1' } }),
    503,
    'upstream_refused',
  ],
  [
    '200 with the key beside an answer without choices',
    json({ base_resp: { status_code: 1004, status_msg: 'login fail: operator1' } }),
    502,
    'upstream_failed',
  ],
  ['200 with an error as the body, in pieces', slowly, 503, 'upstream_refused'],
  ['200 with an error as the body, compressed', coded, 503, 'upstream_refused'],
  ['200 with an error as the first event', pieces([': connected\n\n', quotaEvent]), 503, 'upstream_refused'],
  [
    '200 with an error as the first event, cut in two',
    pieces([quotaEvent.slice(0, 12), quotaEvent.slice(12)]),
    503,
    'upstream_refused',
  ],
  [
    '200 with an error as the body of a stream',
    // Its end comes with it: an answer's headers do not wait for long for what follows.
    json(quotaSpent, 200, { 'content-type': 'text/event-stream' }),
    503,
    'upstream_refused',
  ],
  [
    '429 insufficient_quota, with much beside it',
    json({ ...quotaSpent, pad: 'x'.repeat(100_000) }, 429),
    503,
    'upstream_refused',
  ],
  [
    'a redirect',
    (_request, response) =>
      response.writeHead(308, { location: 'https://operator.example/' }).end('operator'),
    502,
    'upstream_failed',
  ],
]

for (const database of databases) {
  describe(`the operator's own account at a provider on ${database.name}`, () => {
    let first: Scripted
    let second: Scripted
    let alone: Harness
    let pair: Harness
    before(async () => {
      first = await openScripted(json({}))
      second = await openScripted(json(chatAnswer))
      const upstreams = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(first.origin, { provider, name: `first-${provider}` }),
      )
      const others = (['openai', 'anthropic'] as const).map((provider) =>
        upstreamAt(second.origin, { provider, name: `second-${provider}` }),
      )
      alone = await openHarness(database, { upstreams })
      pair = await openHarness(database, { upstreams: [...upstreams, ...others] })
    })
    after(async () => {
      await alone.close()
      await pair.close()
      await first.close()
      await second.close()
    })

    async function ask(harness: Harness, request: Call & (typeof chat | typeof message)) {
      // What an earlier refusal had rest is over.
      harness.shiftClock(601_000)
      const accessToken = await harness.createUser()
      const answer = await call(harness.port, { ...request, accessToken })
      const used = await harness.usedBy(accessToken)
      await harness.settle()
      return { answer, used, settlement: harness.settlements.at(-1) }
    }

    for (const [name, script, status, code] of refusals) {
      for (const request of [chat, message]) {
        it(`${name} on ${request.path}: the next upstream, else ${status} in our words`, async () => {
          first.script = script
          const moved = await ask(pair, request)
          assert.equal(moved.answer.status, 200)
          assert.match(moved.settlement?.upstream ?? '', /^second-/)
          const { answer, used, settlement } = await ask(alone, request)
          assert.equal(answer.status, status)
          assert.doesNotMatch(
            answer.text + JSON.stringify(answer.headers) + alone.log(),
            /operator[01]|your (plan|credit|current)/i,
          )
          assert.doesNotMatch(answer.text, /insufficient_quota/)
          assert.equal(answer.headers.location, undefined)
          assert.deepEqual([used, settlement?.ending, settlement?.errorCode], [0, 'released', code])
        })
      }
    }

    it('says in the log what the refusal of a first upstream was about, where only its words tell', async () => {
      const lineOf = (from: number) =>
        pair
          .log()
          .slice(from)
          .split('\n')
          .filter((line) => line.includes('upstream trouble'))
      for (const script of [json(quotaSpent, 429), compressed]) {
        first.script = script
        const from = pair.log().length
        assert.equal((await ask(pair, chat)).answer.status, 200)
        await waitUntil(() => lineOf(from).length > 0, 'it is logged')
        const [line = '{}', ...more] = lineOf(from)
        const { upstream, status, refusal } = JSON.parse(line)
        assert.deepEqual([upstream, status, refusal, more], ['first-openai', 429, 'account', []])
      }
      first.script = json({ error: { code: 'rate_limit_exceeded' } }, 429)
      const from = pair.log().length
      await ask(pair, chat)
      await waitUntil(() => lineOf(from).length > 0, 'it is logged')
      assert.equal(JSON.parse(lineOf(from)[0] ?? '{}').refusal, undefined)
    })

    it('takes its names out of errors that are passed on, and leaves the rest', async () => {
      const text = (name: string) => `Rate limit reached in organization ${name} on tokens per min: Limit 3.`
      first.script = json({ error: { message: text('org-operator123'), code: 'rate_limit_exceeded' } }, 429, {
        'retry-after': '7',
      })
      const { answer } = await ask(alone, chat)
      assert.equal(answer.status, 429)
      assert.equal(answer.headers['retry-after'], '7')
      assert.deepEqual(JSON.parse(answer.text).error.message, text('(hidden)'))
      assert.equal(answer.headers['content-length'], String(answer.bytes.length))
    })

    it('takes its names out of errors of status 200', async () => {
      const error = (name: string) => ({ error: { message: `Rate limit in organization ${name}.` } })
      first.script = json(error('org-operator123'))
      const whole = await ask(alone, chat)
      assert.deepEqual([whole.answer.status, JSON.parse(whole.answer.text)], [200, error('(hidden)')])
      assert.equal(whole.used, 0)
      first.script = pieces([chatChunk('Hello'), event(error('org-operator123')), chatChunk('more')])
      const streamed = await ask(alone, chat)
      assert.equal(streamed.answer.text, chatChunk('Hello') + event(error('(hidden)')) + chatChunk('more'))
    })

    it('charges nothing for an error that stands beside an answer without choices', async () => {
      for (const body of [
        { base_resp: { status_code: 1002, status_msg: 'rate limit' } },
        { code: 500, msg: '404 NOT_FOUND', success: false },
      ]) {
        first.script = json(body)
        const { answer, used, settlement } = await ask(alone, chat)
        assert.deepEqual([answer.status, JSON.parse(answer.text), used], [200, body, 0])
        assert.equal(settlement?.errorCode, 'upstream_failed')
      }
      first.script = json({ ...chatAnswer, base_resp: { status_code: 0, status_msg: '' } })
      assert.equal((await ask(alone, chat)).used, 12)
    })

    const counting = [
      { path: '/v1/messages/count_tokens', body: message.body },
      { path: '/v1/responses/input_tokens', body: { model: 'gpt-4o', input: 'Hi' } },
    ]
    for (const request of counting) {
      it(`looks into answers of ${request.path}`, async () => {
        first.script = json(quotaSpent)
        const spent = await ask(alone, request as typeof chat)
        assert.equal(spent.answer.status, 503)
        assert.doesNotMatch(spent.answer.text, /operator123|insufficient_quota/)
        assert.deepEqual(
          [spent.settlement?.ending, spent.settlement?.errorCode],
          ['released', 'upstream_refused'],
        )
        first.script = json({ error: { message: 'Unknown model of organization org-operator123' } })
        const named = await ask(alone, request as typeof chat)
        assert.match(named.answer.text, /organization \(hidden\)/)
        first.script = json({ input_tokens: 12 })
        const good = await ask(alone, request as typeof chat)
        assert.deepEqual(
          [good.answer.text, good.settlement?.ending, good.used],
          ['{"input_tokens":12}', 'settled', 0],
        )
      })
    }

    it('ends a stream in our words where its error is about the account', async () => {
      first.script = pieces([chatChunk('Hello'), quotaEvent, chatChunk('more')])
      const { answer, used, settlement } = await ask(pair, chat)
      assert.ok(answer.text.startsWith(chatChunk('Hello')))
      assert.doesNotMatch(answer.text, /operator123|insufficient_quota|more/)
      assert.match(answer.text, /upstream_refused/)
      assert.equal(settlement?.errorCode, 'upstream_refused')
      assert.ok(used > 0)
      first.script = pieces([event(failedResponse, 'response.failed')])
      const response = await ask(alone, { ...chat, path: '/v1/responses' } as typeof chat)
      assert.deepEqual([response.answer.status, response.settlement?.errorCode], [503, 'upstream_refused'])
    })

    it('lets white space before a whole answer out at once', async () => {
      const isOut = Promise.withResolvers<void>()
      first.script = async (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('\n')
        await isOut.promise
        response.end(JSON.stringify(chatAnswer))
      }
      const { answer, used } = await ask(alone, { ...chat, onBody: () => isOut.resolve() })
      assert.deepEqual([answer.text, used], [`\n${JSON.stringify(chatAnswer)}`, 12])
    })

    it('passes no error on that cannot be read', async () => {
      first.script = json({ error: 'org-operator123' }, 400, { 'content-encoding': 'x-unknown' })
      const { answer } = await ask(alone, chat)
      assert.equal(answer.status, 502)
      first.script = json({ error: 'x'.repeat(600_000) }, 400)
      assert.equal((await ask(alone, chat)).answer.status, 502)
    })

    it('passes a refusal of the content on', async () => {
      const flagged = { error: { message: 'Your input was flagged for "violence".', code: 403 } }
      first.script = json(flagged, 403)
      for (const harness of [alone, pair]) {
        const { answer } = await ask(harness, chat)
        assert.deepEqual([answer.status, JSON.parse(answer.text)], [403, flagged])
      }
    })

    it('passes a long error on, byte for byte', async () => {
      const long = { error: { message: 'x'.repeat(300_000), code: null } }
      first.script = json(long, 400)
      const { answer, settlement } = await ask(alone, chat)
      assert.deepEqual([answer.status, answer.text], [400, JSON.stringify(long)])
      assert.deepEqual([settlement?.ending, settlement?.status], ['released', 400])
    })

    it('says 502 where an error breaks off before it is whole', async () => {
      first.script = (_request, response, socket) => {
        response.writeHead(400, { 'content-type': 'application/json', 'content-length': '500' })
        response.write('{"error": {"mess')
        void written(socket).then(() => socket.destroy())
      }
      const { answer, used } = await ask(alone, chat)
      assert.deepEqual([answer.status, used], [502, 0])
    })
  })
}
