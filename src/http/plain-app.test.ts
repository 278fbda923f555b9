import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { createProblem, createStoreUnavailable } from '#core/errors.ts'
import { answered, refuse } from './answer.ts'
import { createClientAddress } from './client-address.ts'
import { createLog } from './log.ts'
import { createPlainApp } from './plain-app.ts'

const now = 1_767_225_600_000

/** An app with a route for every ending, behind a real port. */
function openApp() {
  const lines: string[] = []
  const options = {
    clock: () => now,
    log: createLog({ level: 'debug', destination: { write: (line) => lines.push(line) } }),
    clientAddress: createClientAddress([]),
  }
  const held = Promise.withResolvers<void>()
  const app = createPlainApp(options, {
    takes: () => true,
    routes: [
      {
        methods: ['GET', 'HEAD'],
        template: '/good/{id}',
        pattern: /^\/good\/(\w+)$/,
        isQuiet: true,
        handle: ({ query }, id) => answered({ id, q: query.get('q') }),
      },
      {
        template: '/shut',
        pattern: /^\/shut$/,
        guard: async () => refuse('unknown_admin_key'),
        handle: () => assert.fail('the guard lets nothing in'),
        dress: (answer) => ({ ...answer, headers: { 'x-dressed': 'yes' } }),
      },
      {
        template: '/broken',
        pattern: /^\/broken$/,
        handle: () => Promise.reject(new RangeError('a bug')),
        dress: (answer) => ({ ...answer, headers: { 'x-dressed': 'yes' } }),
      },
      { template: '/away', pattern: /^\/away$/, handle: () => Promise.reject(new Error('away')) },
      {
        template: '/held',
        pattern: /^\/held$/,
        handle: () => held.promise.then(() => answered({})),
      },
    ],
    problemOf: (error, at) =>
      error instanceof RangeError ? createProblem('internal') : createStoreUnavailable(at),
  })
  const server = createServer(app.handle)
  const entries = () => lines.map((line): Record<string, unknown> => JSON.parse(line))
  return { server, held, entries }
}

describe('a plain app', () => {
  const { server, held, entries } = openApp()
  let port = 0
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const send = (path: string, method: string) => fetch(`http://127.0.0.1:${port}${path}`, { method })
  const lineOf = (requestId: string | null) =>
    entries().find((line) => line.msg === 'request' && line.requestId === requestId)

  const unguarded = { code: 'unknown_admin_key', level: 'info' }
  const cases: readonly (readonly [string, number, object, Record<string, string>])[] = [
    ['GET /good/a?q=1', 200, { level: 'debug', route: '/good/{id}' }, {}],
    ['POST /good/a', 405, { code: 'method_not_allowed', route: '/good/{id}' }, { allow: 'GET, HEAD' }],
    ['GET /good', 404, { code: 'not_found', route: 'none' }, {}],
    ['PUT /shut', 401, unguarded, { 'x-dressed': 'yes', 'www-authenticate': 'Bearer realm="tollgate"' }],
    ['GET /broken', 500, { code: 'internal', level: 'error' }, { 'x-dressed': 'yes' }],
    ['GET /away', 503, { code: 'store_unavailable', level: 'error' }, { 'retry-after': '1' }],
  ]
  for (const [line, status, logged, headers] of cases) {
    it(`answers ${line} by ${status}, with its id, its length and one line in the log`, async (test) => {
      const [method = '', path = ''] = line.split(' ')
      const answer = await send(path, method)
      const text = await answer.text()
      assert.equal(answer.status, status)
      assert.equal(Number(answer.headers.get('content-length')), Buffer.byteLength(text))
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.partialDeepStrictEqual(Object.fromEntries(answer.headers), headers)
      const requestId = answer.headers.get('x-request-id')
      if (status === 200) assert.deepEqual(JSON.parse(text), { id: 'a', q: '1' })
      else assert.partialDeepStrictEqual(JSON.parse(text), { requestId })
      await test.waitFor(() => assert.ok(lineOf(requestId)), { interval: 1, timeout: 10_000 })
      assert.partialDeepStrictEqual(lineOf(requestId), { status, method, ...logged })
      assert.equal(
        entries().filter((each) => each.msg === 'request' && each.requestId === requestId).length,
        1,
      )
    })
  }

  it('answers HEAD by the headers of GET alone', async () => {
    const head = await send('/good/a', 'HEAD')
    const get = await send('/good/a', 'GET')
    assert.equal(await head.text(), '')
    assert.equal(head.headers.get('content-length'), get.headers.get('content-length'))
  })

  it('logs a client that hung up before its answer as gone', async (test) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n', () => socket.destroy())
    const gone = () => entries().find(({ route, msg }) => route === '/held' && msg === 'request')
    await test.waitFor(() => assert.ok(gone()), { interval: 1, timeout: 10_000 })
    assert.partialDeepStrictEqual(gone(), { status: 499, code: 'client_gone' })
    held.resolve()
    assert.equal((await send('/good/b', 'GET')).status, 200, 'the late answer harms nothing')
  })
})
