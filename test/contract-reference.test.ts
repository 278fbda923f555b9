import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { parse } from 'yaml'
import { type AdminServer, contractPath, openAdminServer } from './support/admin-server.ts'
import { anyDatabase } from './support/stores.ts'

let server: AdminServer
before(async () => {
  server = await openAdminServer(anyDatabase)
})
after(() => server.close())

/** As anybody: without a credential. */
const get = (path: string, method = 'GET') =>
  server.send({ method, path, headers: { authorization: undefined } })

type Operations = Record<
  string,
  Record<string, { readonly operationId?: string; readonly responses: Record<string, unknown> }>
>

describe('/openapi.json', () => {
  it('is a valid OpenAPI 3.1 document', async () => {
    const { status, text, headers } = await get('/openapi.json')
    assert.equal(status, 200)
    assert.equal(headers['content-type'], 'application/json')
    const result = await new Validator().validate(JSON.parse(text))
    assert.deepEqual(result.errors ?? [], [])
    assert.equal(result.valid, true)
    assert.equal(JSON.parse(text).openapi, '3.1.0')
  })

  it('has every operation and status of the contract, and the refusals beside', async () => {
    const ours: Operations = JSON.parse((await get('/openapi.json')).text).paths
    const given: Operations = parse(readFileSync(contractPath, 'utf8')).paths
    for (const [path, methods] of Object.entries(given)) {
      for (const [method, { operationId, responses }] of Object.entries(methods)) {
        const operation = ours[path]?.[method]
        assert.ok(operation, `${method} ${path}`)
        if (operationId !== undefined) assert.equal(operation.operationId, operationId)
        const statuses = Object.keys(operation.responses)
        for (const status of [...Object.keys(responses), '401', '403', '429', '500', '503'])
          assert.ok(statuses.includes(status), `${method} ${path} ${status}`)
      }
    }
    assert.ok(ours['/admin/users/{token}']?.put?.responses[412])
    assert.ok(ours['/admin/users']?.post?.responses[409])
  })

  it('says the bounds of every number, of what comes in and of what is answered', async () => {
    const document: unknown = JSON.parse((await get('/openapi.json')).text)
    const numbers = [...numbersIn(document, '')]
    assert.ok(numbers.length > 60, `${numbers.length}`)
    assert.deepEqual(
      numbers.filter(
        ([, { minimum, maximum }]) => typeof minimum !== 'number' || typeof maximum !== 'number',
      ),
      [],
    )
    const { schemas } = JSON.parse((await get('/openapi.json')).text).components
    const edit = schemas.UserEdit.properties
    for (const field of ['promptCount', 'requestsPerMinute', 'concurrentRequests', 'maxIps'])
      assert.equal(edit[field].maximum, 1e12, field)
    assert.equal(schemas.TokenCountEdit.properties.turbo.maximum, 1e12)
    assert.equal(schemas.TokenLimitEdit.properties.turbo.maximum, 1e12)
    assert.equal(schemas.QuotaAddition.properties.units.minimum, -1e12)
    assert.equal(schemas.TokenCount.properties.turbo.maximum, 2 ** 53 - 1, 'a sum of many')
  })

  it('says that a time comes as a number or as text, and is answered as a number', async () => {
    const { schemas } = JSON.parse((await get('/openapi.json')).text).components
    for (const field of ['createdAt', 'lastUsedAt', 'disabledAt', 'expiresAt']) {
      const [number, text] = schemas.UserEdit.properties[field].anyOf
      assert.deepEqual(number, { type: 'integer', format: 'int64', minimum: 0, maximum: 8.64e15 }, field)
      assert.deepEqual(text, { type: 'string', format: 'date-time' }, field)
      assert.equal(schemas.User.properties[field].type, 'integer', field)
    }
  })

  it('says int64 of counters, and that a user may be temporary', async () => {
    const { schemas } = JSON.parse((await get('/openapi.json')).text).components
    assert.equal(schemas.TokenCount.properties.claude.format, 'int64')
    assert.ok(schemas.User.properties.type.enum.includes('temporary'))
  })
})

interface NumberSchema {
  readonly type?: unknown
  readonly minimum?: unknown
  readonly maximum?: unknown
}

/** Every schema of a number in a document, by its place. */
function* numbersIn(value: unknown, place: string): Iterable<readonly [place: string, schema: NumberSchema]> {
  if (typeof value !== 'object' || value === null) return
  const { type }: NumberSchema = value
  if ([type].flat().some((name) => name === 'integer' || name === 'number')) yield [place, value]
  for (const [name, inner] of Object.entries(value)) yield* numbersIn(inner, `${place}/${name}`)
}

describe('the pages beside it', () => {
  it('serve the contract byte for byte', async () => {
    const { status, text } = await get('/contract.yaml')
    assert.equal(status, 200)
    assert.equal(text, readFileSync(contractPath, 'utf8'))
  })

  it('serve a page that asks nobody else for anything', async () => {
    const page = await get('/docs')
    assert.equal(page.status, 200)
    assert.match(String(page.headers['content-type']), /^text\/html/)
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /unsafe|https?:|\*/)
    const linked = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    assert.deepEqual(linked.filter((link) => link.startsWith('/docs/')).sort(), [
      '/docs/page.css',
      '/docs/page.js',
    ])
    for (const link of linked.filter((each) => !each.startsWith('#')))
      assert.equal((await get(link)).status, 200, link)
    const folder = new URL('../src/admin/reference/docs-page/', import.meta.url)
    for (const file of readdirSync(folder)) {
      const text = readFileSync(new URL(file, folder), 'utf8').replaceAll('http://www.w3.org/2000/svg', '')
      assert.doesNotMatch(
        text,
        /https?:\/\/|\/\/cdn|@import|innerHTML|localStorage|sessionStorage|document\.cookie|\bon\w+="/,
        file,
      )
    }
  })

  it('refuse other methods, and keep the common headers', async () => {
    const { status, headers } = await get('/docs', 'POST')
    assert.equal(status, 405)
    assert.equal(headers.allow, 'GET, HEAD')
    assert.equal((await get('/docs', 'HEAD')).status, 200)
    assert.equal((await get('/contract.yaml')).headers['cache-control'], 'no-store')
    assert.equal((await get('/docs/page.js')).headers['x-content-type-options'], 'nosniff')
  })
})
