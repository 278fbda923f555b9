import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createCors } from './cors.ts'

const origin = 'https://chat.example.org'

describe('a web page that calls', () => {
  const cors = createCors([origin], (target) => target.startsWith('/v1/'))
  const server = createServer((request, response) => {
    if (!cors.answer(request, response)) response.writeHead(401, ['content-type', 'text/plain']).end('who?')
  })
  let base = ''
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => server.close())

  const ask = async (path: string, method: string, headers: Record<string, string>) => {
    const answer = await fetch(base + path, { method, headers })
    await answer.text()
    const said = [...answer.headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary')
    return { status: answer.status, said: Object.fromEntries(said) }
  }
  const asking = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,x-stainless-os',
  }

  it('is told what it may before it brings a credential', async () => {
    assert.deepEqual(await ask('/v1/chat/completions', 'OPTIONS', { origin, ...asking }), {
      status: 204,
      said: {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': 'authorization,x-stainless-os',
        'access-control-max-age': '7200',
        vary: 'origin, access-control-request-headers',
      },
    })
  })

  it('may read its answer, also a refusal', async () => {
    assert.deepEqual(await ask('/v1/models?x', 'GET', { origin }), {
      status: 401,
      said: {
        'access-control-allow-origin': origin,
        'access-control-expose-headers': '*',
        vary: 'origin',
      },
    })
  })

  it('may not where its origin is not listed, nor on other paths', async () => {
    for (const other of ['https://evil.example', 'null', `${origin}.evil.example`, `${origin}:444`]) {
      const headers = { origin: other, ...asking }
      assert.deepEqual(await ask('/v1/models', 'OPTIONS', headers), { status: 401, said: { vary: 'origin' } })
    }
    for (const path of ['/admin/users', '/v1x', '/auth/check', '/'])
      assert.deepEqual(await ask(path, 'OPTIONS', { origin, ...asking }), { status: 401, said: {} })
    assert.deepEqual(await ask('/v1/models', 'GET', {}), { status: 401, said: {} })
  })
})
