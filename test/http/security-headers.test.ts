import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { call } from '../support/gateway-client.ts'
import { openPlanes, type Planes, planesAdminKey } from '../support/planes.ts'
import { anyDatabase } from '../support/stores.ts'

const admin = { authorization: `Bearer ${planesAdminKey}` }

describe('what browsers are told of every answer', () => {
  let planes: Planes
  let accessToken = ''
  before(async () => {
    planes = await openPlanes(anyDatabase, {
      TRUSTED_PROXIES: '10.0.0.0/8',
      OPENAI_API_KEY: 'sesame',
      OPENAI_BASE_URL: 'http://198.51.100.7:9/v1',
    })
    accessToken = await planes.createUser()
  })
  after(() => planes.close())

  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    call(planes.port, { method: 'GET', path, headers })

  const answers: readonly (readonly [string, number, () => ReturnType<typeof get>])[] = [
    ['the health of the process', 200, () => get('/healthz')],
    ["a holder's usage", 200, () => get('/v1/usage', { authorization: `Bearer ${accessToken}` })],
    ['a refusal of the usage', 401, () => get('/v1/usage')],
    ['a refusal of the verifier', 403, () => get('/auth/verify')],
    ['a list of the admin API', 200, () => get('/admin/users', admin)],
    ['a refusal of the admin API', 401, () => get('/admin/users')],
    ['a document', 200, () => get('/openapi.json')],
    ['a path that is not there', 404, () => get('/nothing')],
    ['the way to the page', 302, () => get('/')],
    ['a target that is no path', 400, () => get('ftp://x/')],
  ]
  for (const [name, status, ask] of answers)
    it(`are no page, in no frame, in no other site: ${name}`, async () => {
      const { headers, status: got } = await ask()
      assert.equal(got, status)
      assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'")
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['x-frame-options'], 'DENY')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
    })

  it('lets the page run its own files only', async () => {
    const { headers } = await get('/docs')
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none';/)
    assert.ok(!/unsafe|\*|data:|https?:/.test(policy), policy)
    for (const part of [
      "script-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'none'",
    ])
      assert.ok(policy.includes(part), part)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['x-frame-options'], 'DENY')
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin')
    assert.match(String(headers['permissions-policy']), /camera=\(\)/)
  })

  it('leaves the answers of the gateway as they are', async () => {
    const { headers } = await get('/v1/models', { authorization: `Bearer ${accessToken}` })
    assert.equal(headers['content-security-policy'], undefined)
    assert.equal(headers['x-frame-options'], undefined)
  })

  it('is beside what a start says of an upstream without TLS, and a request of a proxy that is not trusted', async () => {
    assert.match(planes.log(), /"msg":"the upstream \w+ is asked without TLS at 198\.51\.100\.7:9: /)
    for (let times = 0; times < 2; times += 1) await get('/healthz', { 'x-forwarded-for': '203.0.113.9' })
    const told = planes.log().match(/"peer":"127\.0\.0\.1".*TRUSTED_PROXIES=127\.0\.0\.1/g)
    assert.equal(told?.length, 1)
    assert.ok(!planes.log().includes('sesame'))
  })
})
