import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createClientAddress } from '#http/client-address.ts'
import { assertCodes } from '../support/access-lines.ts'
import { by } from '../support/by.ts'
import { type Answer, type Call, call } from '../support/gateway-client.ts'
import { openHarness, upstreamAt } from '../support/gateway-harness.ts'
import { chatAnswer, json } from '../support/gateway-scripted.ts'
import { bothAt, useGateway } from '../support/gateway-setup.ts'
import { databases } from '../support/stores.ts'

const openaiPaths = ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/embeddings']
const anthropicPaths = ['/v1/messages', '/v1/messages/count_tokens']
const bodyBytesMax = 100_000

/** Asserts that an answer is an error as this protocol's clients know it, and answers its message. */
function assertShape(answer: Answer, protocol: 'openai' | 'anthropic', more: readonly string[] = []): string {
  assert.equal(answer.headers['content-type'], 'application/json')
  assert.match(String(answer.headers['x-request-id']), /^req_/)
  assert.match(String(answer.headers['server-timing']), /^tollgate;dur=/)
  const body = JSON.parse(answer.text)
  if (protocol === 'openai') {
    assert.deepEqual(Object.keys(body), ['error'])
    assert.deepEqual(Object.keys(body.error).sort(), [...more, 'code', 'message', 'param', 'type'].sort())
  } else {
    assert.equal(body.type, 'error')
    assert.deepEqual(Object.keys(body.error).sort(), [...more, 'message', 'type'].sort())
    assert.equal(body.request_id, answer.headers['x-request-id'])
  }
  assert.ok(body.error.message.length > 5)
  return body.error.message
}

for (const database of databases) {
  describe(`what the gateway refuses on ${database.name}`, () => {
    let accessToken: string
    const { harness, upstream } = useGateway(database, (origin) => ({
      upstreams: bothAt(origin),
      gateway: { bodyBytesMax },
    }))
    before(async () => {
      accessToken = await harness.createUser()
    })
    after(() => assertCodes(harness.log()))

    const ask = (more: Omit<Call, 'accessToken'>) => call(harness.port, { accessToken, ...more })

    const bodies: readonly (readonly [string, unknown, number])[] = [
      ['no body', undefined, 400],
      ['an empty body', '', 400],
      ['half a body', '{"model":"gpt-4o"', 400],
      ['a list', '[]', 400],
      ['a text', '"gpt-4o"', 400],
      ['null', 'null', 400],
      ['what is no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400],
      ['two objects', '{"model":"gpt-4o"}{}', 400],
      ['no model', { messages: [] }, 400],
      ['a model that is no text', { model: 5 }, 400],
      ['an empty model', { model: '' }, 400],
      ['a model twice', '{"model":"gpt-4o","model":"gpt-4o-mini"}', 400],
      ['a model twice, once escaped', '{"model":"gpt-4o","mode\\u006c":"gpt-4o-mini"}', 400],
      ['a model of no family', { model: 'llama-3' }, 404],
      ['too much', { model: 'gpt-4o', messages: 'x'.repeat(bodyBytesMax) }, 413],
    ]
    for (const path of [...openaiPaths, ...anthropicPaths]) {
      const protocol = anthropicPaths.includes(path) ? 'anthropic' : 'openai'
      for (const [name, body, status] of bodies) {
        it(`${path}: ${name} is ${status}`, async () => {
          const before = upstream.requests.length
          const answer = await ask({ path, body })
          assert.equal(answer.status, status, answer.text)
          assertShape(answer, protocol)
          assert.equal(upstream.requests.length, before, 'nothing went upstream')
        })
      }

      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
        it(`${method} ${path} is 405`, async () => {
          const answer = await ask({ method, path })
          assert.equal(answer.status, 405)
          assert.equal(answer.headers.allow, 'POST')
          assertShape(answer, protocol)
        })
      }

      it(`${path} without a credential, or with a wrong one, is 401`, async () => {
        const body = { model: 'gpt-4o' }
        for (const headers of [
          {},
          { authorization: 'Bearer ' },
          { authorization: 'Basic eDp5' },
          { 'x-api-key': 'nobody' },
        ]) {
          const answer = await call(harness.port, { path, body, headers })
          assert.equal(answer.status, 401)
          assert.ok(answer.headers['www-authenticate'])
          assertShape(answer, protocol)
        }
      })
    }

    it('bad types are refused where the gateway has to know them', async () => {
      const cases: readonly (readonly [string, object])[] = [
        ['/v1/chat/completions', { model: 'gpt-4o', stream: 'yes' }],
        ['/v1/chat/completions', { model: 'gpt-4o', max_tokens: '9' }],
        ['/v1/chat/completions', { model: 'gpt-4o', n: 0 }],
        ['/v1/chat/completions', { model: 'gpt-4o', max_tokens: -1.5 }],
        ['/v1/messages', { model: 'claude-x', max_tokens: 1.5 }],
        ['/v1/responses', { model: 'gpt-4o', background: true }],
      ]
      for (const [path, body] of cases)
        assert.equal((await ask({ path, body })).status, 400, JSON.stringify(body))
    })

    it('a body in a coding that is not read here is 415', async () => {
      const answer = await ask({ path: '/v1/messages', body: 'x', headers: { 'content-encoding': 'lzma' } })
      assert.equal(answer.status, 415)
      assertShape(answer, 'anthropic')
    })

    it('a path that is none is 404 in the shape of the protocol that the client speaks', async () => {
      for (const path of [
        '/v1/nothing',
        '/v1',
        '/',
        '/v1/chat/completions/',
        '/v1/../v1/messages',
        '/v1/models/',
        '/v1/models/%ff',
      ]) {
        const [plain, spoken] = await Promise.all([
          ask({ path, body: {} }),
          ask({ path, body: {}, headers: { 'anthropic-version': '2023-06-01' } }),
        ])
        assert.deepEqual([plain.status, spoken.status], [404, 404], path)
        assertShape(plain, 'openai')
        assertShape(spoken, 'anthropic')
        assert.doesNotMatch(plain.text, /nothing/, 'a path may hold anything and is not echoed')
      }
    })

    it('reads nothing of a large body whose access token is not known', async () => {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(harness.port, '127.0.0.1')
        socket.setEncoding('utf8')
        socket.write(
          'POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: nobody-at-all\r\ncontent-length: 90000\r\n\r\n{"mod',
        )
        socket.on('data', (text) => {
          resolve(String(text))
          socket.destroy()
        })
      })
      assert.match(answer, /^HTTP\/1\.1 401 /)
    })

    it('refuses an endless body at its bound, in words', async () => {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(harness.port, '127.0.0.1')
        let text = ''
        socket.setEncoding('utf8')
        socket.on('data', (piece) => {
          text += piece
        })
        socket.on('close', () => resolve(text))
        socket.on('error', () => {})
        socket.write(
          `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${accessToken}\r\ntransfer-encoding: chunked\r\n\r\n`,
        )
        const piece = `2710\r\n${'x'.repeat(10_000)}\r\n`
        const timer = setInterval(() => socket.write(piece), 5)
        socket.on('close', () => clearInterval(timer))
      })
      assert.match(answer, /^HTTP\/1\.1 413 /)
      assert.match(answer, /at most 100000 bytes/)
    })

    it('takes a body of exactly the bound', async () => {
      const empty = JSON.stringify({ model: 'gpt-4o', messages: '' })
      const body = JSON.stringify({ model: 'gpt-4o', messages: 'x'.repeat(bodyBytesMax - empty.length) })
      assert.equal(body.length, bodyBytesMax)
      assert.equal((await ask({ path: '/v1/chat/completions', body })).status, 200)
    })

    it('says where the holder stands, also when it says no', async () => {
      const limits = { requestsPerMinute: 5, period: 'daily' as const }
      const edit = { quotaLimits: { gpt4: 10, claude: 10 }, limits }
      const limited = await harness.createUser(edit)
      const body = { model: 'gpt-4o', max_tokens: 1000, messages: [] }
      const openai = await call(harness.port, { path: '/v1/chat/completions', accessToken: limited, body })
      assert.equal(openai.status, 429)
      assert.equal(openai.headers['x-ratelimit-limit-tokens'], '10')
      assert.equal(openai.headers['x-ratelimit-remaining-tokens'], '10')
      assert.equal(openai.headers['x-ratelimit-limit-requests'], '5')
      assert.equal(openai.headers['x-should-retry'], 'false')
      assert.equal(openai.headers['retry-after'], undefined)
      assert.match(assertShape(openai, 'openai', ['limit']), /needs up to/)
      // It fits into no day, so that no reset would help.
      assert.equal(openai.headers['x-ratelimit-reset-tokens'], undefined)
      assert.doesNotMatch(openai.text, /resetAt|from zero/)
      const message = { ...body, model: 'claude-x' }
      const anthropic = await call(harness.port, {
        path: '/v1/messages',
        accessToken: limited,
        body: message,
      })
      assert.equal(anthropic.headers['anthropic-ratelimit-tokens-limit'], '10')
      assert.equal(anthropic.headers['anthropic-ratelimit-tokens-reset'], undefined)
      assert.equal(anthropic.headers['anthropic-ratelimit-requests-limit'], '5')
    })

    it('says when to come back: seconds where that helps, and that it does not where it does not', async () => {
      const limited = await harness.createUser({ limits: { requestsPerMinute: 2 } })
      const body = { model: 'gpt-4o', messages: [] }
      const answers: Answer[] = []
      for (let round = 0; round < 3; round += 1) {
        answers.push(await call(harness.port, { path: '/v1/chat/completions', accessToken: limited, body }))
      }
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 429],
      )
      const wait = Number(answers[2]?.headers['retry-after'])
      assert.ok(wait >= 29 && wait <= 30, `${wait} seconds`)
      assert.equal(answers[2]?.headers['x-should-retry'], undefined)

      const daily = await harness.createUser({ quotaLimits: { gpt4: 2000 }, limits: { period: 'monthly' } })
      const large = { ...body, max_tokens: 1900 }
      upstream.script = json({ ...chatAnswer, usage: { prompt_tokens: 500, completion_tokens: 500 } })
      assert.equal(
        (await call(harness.port, { path: '/v1/chat/completions', accessToken: daily, body: large })).status,
        200,
      )
      const spent = await call(harness.port, {
        path: '/v1/chat/completions',
        accessToken: daily,
        body: large,
      })
      upstream.script = json(chatAnswer)
      assert.equal(spent.status, 429)
      assert.equal(spent.headers['retry-after'], undefined, 'some clients would sleep until next month')
      assert.equal(spent.headers['x-should-retry'], 'false')
      assert.ok(JSON.parse(spent.text).error.limit.resetAt > Date.now())
    })

    it('says which limit it was, also where nothing is metered', async () => {
      const limited = await harness.createUser({ limits: { maxIps: 0 } })
      const limit = { name: 'maxIps', limit: 0, used: 0 }
      const models = await call(harness.port, { method: 'GET', path: '/v1/models', accessToken: limited })
      assert.deepEqual([models.status, JSON.parse(models.text).error.limit], [403, limit])
      const usage = await call(harness.port, { method: 'GET', path: '/v1/usage', accessToken: limited })
      assert.deepEqual([usage.status, JSON.parse(usage.text).limit], [403, limit])
    })

    it('throttles an address that keeps guessing', async () => {
      const clientAddress = createClientAddress(['127.0.0.1'])
      const own = await openHarness(database, {
        upstreams: [upstreamAt(upstream.origin, { provider: 'openai' })],
        gateway: { clientAddress },
      })
      try {
        const known = 'chosen, so that it may be guessed'
        await own.store.users.writeUsers([{ ref: { accessToken: known }, edit: {} }], by(Date.now()))
        const body = { model: 'gpt-4o', messages: [] }
        const from = (address: string, credential: string) =>
          call(own.port, {
            path: '/v1/chat/completions',
            accessToken: credential,
            body,
            headers: { 'x-forwarded-for': address },
          })
        const statuses: number[] = []
        for (let round = 0; round < 12; round += 1)
          statuses.push((await from('192.0.2.7', `guess-${round}`)).status)
        assert.deepEqual(statuses, [...Array(11).fill(401), 429])
        const blocked = await from('192.0.2.7', known)
        assert.equal(blocked.status, 429)
        assert.equal(blocked.headers['retry-after'], '1')
        assert.equal((await from('192.0.2.8', known)).status, 200, 'others are free')
        own.shiftClock(1001)
        assert.equal((await from('192.0.2.7', known)).status, 200)
        assert.equal((await from('192.0.2.7', 'guess')).status, 401)
        assert.equal((await from('192.0.2.7', known)).status, 429, 'a right one has taken nothing back')
      } finally {
        await own.close()
      }
    })

    it('knows an access token whatever header brings it, and whatever it is made of', async () => {
      const chosen = 'löwe 🦁 token'
      const written = await harness.store.users.writeUsers(
        [{ ref: { accessToken: chosen }, edit: {} }],
        by(Date.now()),
      )
      assert.equal(written.kind, 'written')
      const body = { model: 'gpt-4o', messages: [] }
      const bytes = Buffer.from(chosen).toString('latin1')
      for (const headers of [
        { authorization: `Bearer ${bytes}` },
        { authorization: `bearer  ${bytes}` },
        { 'x-api-key': bytes },
      ]) {
        assert.equal((await call(harness.port, { path: '/v1/chat/completions', body, headers })).status, 200)
      }
    })
  })
}
