import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  constants as zlib,
  zstdCompressSync,
} from 'node:zlib'
import { createBodyBudget } from '#http/body.ts'
import { call } from '../support/gateway-client.ts'
import { upstreamAt } from '../support/gateway-harness.ts'
import { useGateway } from '../support/gateway-setup.ts'
import { longestTurnIn } from '../support/longest-turn.ts'
import { anyDatabase } from '../support/stores.ts'

const mebibyte = 1024 * 1024
const bodyBytesMax = 8 * mebibyte
const path = '/v1/chat/completions'
const text = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Grüße '.repeat(3000) }] })
const bomb = Buffer.alloc(400 * mebibyte, 0x20)

/** What the header says, and what makes it. */
const codings: readonly (readonly [string, (body: string | Buffer) => Buffer])[] = [
  ['gzip', (body) => gzipSync(body)],
  ['X-GZip', (body) => gzipSync(body)],
  ['identity, gzip', (body) => gzipSync(body)],
  ['br', (body) => brotliCompressSync(body, { params: { [zlib.BROTLI_PARAM_QUALITY]: 4 } })],
  ['zstd', (body) => zstdCompressSync(body)],
  ['deflate', (body) => deflateSync(body)],
  ['deflate', (body) => deflateRawSync(body)],
]

describe('a body that a client has compressed', () => {
  const budget = createBodyBudget(3 * bodyBytesMax)
  let accessToken: string
  const { harness, upstream } = useGateway(anyDatabase, (origin) => ({
    upstreams: [upstreamAt(origin, { provider: 'openai' })],
    gateway: { bodyBytesMax, bodyBudget: budget },
  }))
  before(async () => {
    accessToken = await harness.createUser()
  })
  after(() => assert.equal(budget.held(), 0, 'all memory was given back'))

  const send = (coding: string, body: Buffer, token = accessToken) =>
    call(harness.port, { path, accessToken: token, body, headers: { 'content-encoding': coding } })

  for (const [coding, compress] of codings) {
    it(`${coding}: goes on as it was before`, async () => {
      assert.equal((await send(coding, compress(text))).status, 200)
      const received = upstream.requests.at(-1)
      assert.equal(received?.body, text)
      assert.equal(received.headers['content-length'], String(Buffer.byteLength(text)))
      assert.equal(received.headers['content-encoding'], undefined)
    })

    it(`${coding}: half of one, and what is something else, is 400`, async () => {
      const whole = compress(text)
      for (const body of [whole.subarray(0, whole.length - 9), Buffer.from(text.replace('{', '\x01{'))])
        assert.equal((await send(coding, body)).status, 400)
    })

    it(`${coding}: what comes out is bounded, and nothing stops for it`, async () => {
      const small = compress(bomb)
      assert.ok(small.length < mebibyte)
      const before = upstream.requests.length
      const longest = await longestTurnIn(async () => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => send(coding, small)))
        // Where many are decoded at once their memory may be used up before a bound is.
        for (const { status } of answers) assert.ok(status === 413 || status === 503, String(status))
        assert.ok(answers.some(({ status }) => status === 413))
      })
      assert.ok(longest < 200, `the longest turn took ${longest} ms`)
      assert.equal(upstream.requests.length, before)
    })
  }

  it('of the greatest size passes, and of one byte more does not', async () => {
    const whole = (bytes: number) => `${text}${' '.repeat(bytes - Buffer.byteLength(text))}`
    assert.equal((await send('gzip', gzipSync(whole(bodyBytesMax)))).status, 200)
    assert.equal((await send('gzip', gzipSync(whole(bodyBytesMax + 1)))).status, 413)
  })

  it('in two ways, or in one that is not read here, is 415 and says which are', async () => {
    for (const coding of ['gzip, br', 'compress', 'gzip;q=1', 'aws-chunked']) {
      const answer = await send(coding, gzipSync(gzipSync(text)))
      assert.equal(answer.status, 415, coding)
      assert.equal(answer.headers['accept-encoding'], 'gzip, br, zstd, deflate')
    }
  })

  it('is not looked into before its access token is known', async () => {
    assert.equal((await send('gzip', Buffer.from('no gzip'), 'nobody')).status, 401)
  })

  it('is 400 where nothing is in it', async () => {
    assert.equal((await send('gzip', Buffer.alloc(0))).status, 400)
    assert.equal((await send('gzip', gzipSync(''))).status, 400)
  })
})
