import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { call } from '../support/gateway-client.ts'
import { openPlanes, type Planes, planesAdminKey } from '../support/planes.ts'
import { databases } from '../support/stores.ts'

/**
 * Clients at a wrong base address, and at routes that are not served: most of them print the message of a 404 and
 * nothing else, so that it has to say what to change. Through all planes behind one port, since a wrong path may lead
 * to another of them.
 */
const database = databases[0] ?? assert.fail('there is a database')
const messages = [{ role: 'user' as const, content: 'Hi' }]

describe('a client that asks at a wrong path', () => {
  let planes: Planes
  before(async () => {
    planes = await openPlanes(database)
  })
  after(() => planes.close())

  const openai = (base: string) =>
    new OpenAI({ apiKey: 'k', baseURL: planes.origin + base, maxRetries: 1 }).chat.completions.create({
      model: 'gpt-4o',
      messages,
    })
  const response = (base: string) =>
    new OpenAI({ apiKey: 'k', baseURL: planes.origin + base }).responses.create({ model: 'o3', input: 'Hi' })
  const listed = (base: string) => new OpenAI({ apiKey: 'k', baseURL: planes.origin + base }).models.list()
  const anthropic = (base: string) =>
    new Anthropic({ apiKey: 'k', baseURL: planes.origin + base }).messages.create({
      model: 'claude-x',
      max_tokens: 9,
      messages,
    })
  const counted = (base: string) =>
    new Anthropic({ apiKey: 'k', baseURL: planes.origin + base }).messages.countTokens({
      model: 'claude-x',
      messages,
    })
  const seen = (base: string) => new Anthropic({ apiKey: 'k', baseURL: planes.origin + base }).models.list()

  const cases: readonly (readonly [string, (base: string) => PromiseLike<unknown>, string, string])[] = [
    ['OpenAI, chat', openai, '', '/v1'],
    ['OpenAI, chat', openai, '/v1/v1', '/v1'],
    ['OpenAI, chat', openai, '/api/v1', '/v1'],
    ['OpenAI, chat', openai, '/openai/deployments/gpt-4o', '/v1'],
    ['OpenAI, chat', openai, '/v1/chat/completions', '/v1'],
    ['OpenAI, responses', response, '', '/v1'],
    ['OpenAI, the list of models', listed, '', '/v1'],
    ['Anthropic, messages', anthropic, '/v1', ''],
    ['Anthropic, messages', anthropic, '/anthropic', ''],
    ['Anthropic, counting', counted, '/v1', ''],
    ['Anthropic, the list of models', seen, '/v1', ''],
  ]
  for (const [name, ask, base, right] of cases) {
    it(`${name}: is told the base address, after "${base}"`, async () => {
      await assert.rejects(Promise.resolve(ask(base)), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError || error instanceof Anthropic.NotFoundError)
        assert.ok(error.message.includes(`Set the base address to ${planes.origin}${right}:`), error.message)
        assert.equal(error.headers.get('x-should-retry'), 'false')
        return true
      })
    })
  }

  it('is told so in the protocol of the path, whatever the headers claim', async () => {
    const answer = await call(planes.port, { path: '/messages', headers: { host: 'a.example' }, body: {} })
    const said = JSON.parse(answer.text)
    assert.deepEqual([answer.status, said.type, said.error.type], [404, 'error', 'not_found_error'])
    assert.ok(said.error.message.includes('http://a.example/v1: the client adds /messages itself'))
  })

  it('is told what is served, where it meant another route', async () => {
    const client = new OpenAI({ apiKey: 'k', baseURL: `${planes.origin}/v1` })
    await assert.rejects(
      Promise.resolve(client.files.list()),
      (error) =>
        error instanceof OpenAI.NotFoundError && /not served here.*POST \/v1\/responses/.test(error.message),
    )
    const other = new Anthropic({ apiKey: 'k', baseURL: planes.origin })
    await assert.rejects(
      Promise.resolve(other.messages.batches.list()),
      (error) =>
        error instanceof Anthropic.NotFoundError &&
        /not served here.*POST \/v1\/messages/.test(error.message),
    )
  })

  it('is told no wrong address for what only ends like an operation', async () => {
    for (const path of ['/v1/organization/usage/completions', '/v1/fine_tuning/models']) {
      const { text } = await call(planes.port, { path, body: {} })
      assert.match(JSON.parse(text).error.message, /^This is not served here/, path)
    }
  })

  it('leaves the admin API its paths', async () => {
    const token = await planes.createChosen('models')
    const headers = { authorization: `Bearer ${planesAdminKey}` }
    const answer = await call(planes.port, { method: 'GET', path: `/admin/users/${token}`, headers })
    assert.equal(answer.status, 200)
    const none = await call(planes.port, { method: 'GET', path: '/nothing', headers })
    assert.deepEqual([none.status, JSON.parse(none.text).error], [404, 'Not found'])
  })

  it('is told which method', async () => {
    const answer = await call(planes.port, { method: 'GET', path: '/v1/messages' })
    assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST'])
    assert.equal(JSON.parse(answer.text).error.message, 'Use POST here.')
    assert.equal(answer.headers['x-should-retry'], 'false')
  })

  for (const path of ['/v1/responses', '/v1/realtime?model=gpt-4o', '/responses']) {
    it(`goes over to HTTP when it asks for a WebSocket at ${path}, on another connection`, async () => {
      const socket = connect(planes.port, '127.0.0.1')
      let text = ''
      socket.on('data', (piece) => {
        text += piece
      })
      socket.write(
        `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n` +
          'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      await new Promise((resolve) => socket.on('close', resolve))
      assert.match(text, /^HTTP\/1\.1 426 /)
      assert.match(text, /\r\nupgrade: HTTP\/1\.1\r\n/i)
      assert.match(text, /\r\nconnection: upgrade, close\r\n/i)
      assert.match(text, /"code":"websocket_not_served"/)
    })
  }
})
