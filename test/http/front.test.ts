import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { withFolder } from '../support/folder.ts'
import { type Program, startProgram } from '../support/process.ts'
import { exchange, requestText } from '../support/raw.ts'

/** What every plane holds to, before it looks at anything: asked of the program itself, byte by byte. */
const adminKey = 'a-test-admin-key-1'
const bearer = `Authorization: Bearer ${adminKey}`

async function close(program: Program | undefined): Promise<void> {
  program?.process.kill('SIGKILL')
  await program?.exit
}

describe('what every plane holds to', { timeout: 60_000 }, () => {
  let program: Program | undefined
  let port = 0
  let accessToken = ''
  let verifierKey = ''
  let leave: () => void = () => undefined
  let over: Promise<void> = Promise.resolve()

  before(async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    leave = resolve
    const opened = Promise.withResolvers<void>()
    over = withFolder(async (folder) => {
      program = startProgram([], { DATA_DIR: folder, PORT: '0', ADMIN_KEY: adminKey })
      const url = await program.listening
      port = Number(new URL(url).port)
      const post = async (path: string, body: object) => {
        const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' }
        const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
        return (await answer.json()) as Record<string, string>
      }
      accessToken = (await post('/admin/users', {})).token ?? ''
      verifierKey = (await post('/admin/keys', { name: 'v', scopes: ['verifier'] })).key ?? ''
      opened.resolve()
      await promise
      await close(program)
    })
    over.catch(opened.reject)
    await opened.promise
  })
  after(async () => {
    leave()
    await over
  })

  const send = (line: string, ...headers: string[]) => exchange(port, requestText(line, headers))
  const holder = () => `Authorization: Bearer ${accessToken}`

  it('takes the absolute form of a target on every plane', async () => {
    const planes: readonly (readonly [string, string])[] = [
      ['/healthz', ''],
      ['/readyz?x', ''],
      ['/v1/models', holder()],
      ['/v1/models/none', holder()],
      ['/v1/usage?bucket=day', holder()],
      ['/admin/users?limit=1', bearer],
      ['/docs', ''],
    ]
    for (const [path, credential] of planes) {
      const own = ['Host: x', ...(credential === '' ? [] : [credential])]
      const plain = await send(`GET ${path}`, ...own)
      for (const origin of ['http://x', 'HTTP://other.example:99', 'https://[::1]:8080']) {
        const absolute = await send(`GET ${origin}${path}`, ...own)
        assert.equal(absolute.status, plain.status, `${origin}${path}`)
      }
    }
    const verified = await send(
      'GET http://x/auth/verify',
      'Host: x',
      `X-Tollgate-Key: ${verifierKey}`,
      holder(),
    )
    assert.equal(
      verified.status,
      (await send('GET /auth/verify', 'Host: x', `X-Tollgate-Key: ${verifierKey}`, holder())).status,
    )
    assert.equal((await send('GET http://x', 'Host: x')).status, 302)
    assert.match(program?.output() ?? '', /"route":"\/v1\/models"/)
    assert.doesNotMatch(program?.output() ?? '', /other\.example/)
  })

  const refusedTargets = [
    'GET http://user:secret@x/v1/models',
    'GET ftp://x/v1/models',
    'GET http:///v1/models',
    'OPTIONS *',
  ]
  for (const line of refusedTargets) {
    it(`refuses the target of ${line}`, async () => {
      const answer = await send(line, 'Host: x', bearer)
      assert.equal(answer.status, 400)
      assert.equal(JSON.parse(answer.body).code, 'bad_request')
    })
  }

  it('says that it is no proxy', async () => {
    assert.equal((await send('CONNECT x:443', 'Host: x:443')).status, 405)
  })

  it('resolves no dots and no doubled slashes', async () => {
    const paths = [
      '//v1/models',
      '//admin/users',
      '/v1/../admin/users',
      '/v1/%2e%2e/admin/users',
      '/./admin/users',
      '/%61dmin/users',
      '/admin//users',
    ]
    for (const path of paths) {
      const statuses = [
        (await send(`GET ${path}`, 'Host: x', bearer)).status,
        (await send(`GET http://x${path}`, 'Host: x', bearer)).status,
      ]
      assert.deepEqual(statuses, [404, 404], path)
    }
  })

  const twice: readonly (readonly [string, readonly string[]])[] = [
    ['Host', ['Host: x', 'Host: x']],
    ['Host, of which one is another', ['Host: x', 'hOST: y']],
    ['Authorization', ['Host: x', 'Authorization: Bearer a', 'Authorization: Bearer b']],
    ['x-api-key', ['Host: x', 'x-api-key: a', 'X-API-Key: b']],
    ['Content-Length', ['Host: x', 'Content-Length: 1', 'Content-Length: 2']],
    ['Content-Type', ['Host: x', 'Content-Type: application/json', 'content-type: text/plain']],
    ['length and transfer coding', ['Host: x', 'Content-Length: 1', 'Transfer-Encoding: chunked']],
    ['no Host', []],
  ]
  for (const [what, headers] of twice) {
    it(`refuses a second header: ${what}`, async () => {
      for (const path of ['/v1/models', '/v1/usage', '/admin/users', '/auth/verify', '/healthz', '/docs'])
        assert.equal((await send(`GET ${path}`, ...headers)).status, 400, path)
    })
  }

  const early: readonly (readonly [string, number, () => readonly string[]])[] = [
    ['POST /v1/chat/completions', 401, () => []],
    ['POST /v1/nothing', 404, () => [holder()]],
    ['PUT /v1/chat/completions', 405, () => [holder()]],
    ['POST /v1/models', 405, () => [holder()]],
    ['POST /v1/usage', 405, () => [holder()]],
    ['GET /v1/usage', 200, () => [holder()]],
    ['GET /v1/models', 200, () => [holder()]],
    ['POST /v1/chat/completions', 413, () => [holder(), 'Content-Length: 99999999']],
    ['POST /v1/chat/completions', 415, () => [holder(), 'Content-Encoding: compress']],
    ['POST /admin/users', 401, () => []],
    ['GET /admin/users', 401, () => []],
    ['PATCH /admin/users', 405, () => [bearer]],
    ['POST /admin/nothing', 404, () => [bearer]],
    ['POST /admin/users', 413, () => [bearer, 'Content-Length: 99999999']],
    ['POST /admin/users', 415, () => [bearer, 'Content-Type: text/plain']],
    ['GET /admin/users', 200, () => [bearer]],
    ['POST /docs', 405, () => []],
    ['GET /docs', 200, () => []],
    ['POST /usage', 401, () => []],
    ['GET /usage', 405, () => [`Authorization: Bearer ${verifierKey}`]],
    ['POST /usage', 413, () => [`Authorization: Bearer ${verifierKey}`, 'Content-Length: 99999999']],
    ['POST /healthz', 405, () => []],
    ['GET /healthz', 200, () => []],
    ['GET /readyz', 200, () => []],
    ['POST /v1/models', 400, () => ['Host: y']],
  ]
  it('ends a body that comes byte by byte after its answer', async () => {
    const asked = early.map(async ([line, , headersOf]) => {
      const headers = headersOf()
      const length = headers.some((header) => header.startsWith('Content-Length'))
        ? []
        : ['Content-Length: 60000']
      const bytes = [`${line} HTTP/1.1`, 'Host: x', ...length, ...headers, '', 'x'].join('\r\n')
      const answer = await exchange(port, bytes, { trickleMs: 100 })
      return [line, answer.status, answer.openMs < 5000] as const
    })
    assert.deepEqual(
      await Promise.all(asked),
      early.map(([line, status]) => [line, status, true]),
    )
  })

  it('answers a pipelined connection in its order', async () => {
    const paths = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0 ? '/admin/users?limit=1' : index % 3 === 1 ? '/healthz' : '/none',
    )
    const bytes = paths.map((path, index) => {
      const isLast = index === paths.length - 1
      return `GET ${path} HTTP/1.1\r\nHost: x\r\n${bearer}\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`
    })
    const { text } = await exchange(port, bytes.join(''))
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
    assert.deepEqual(
      statuses,
      paths.map((path) => (path === '/none' ? 404 : 200)),
    )
  })

  it('serves an ordinary client beside 200 connections that send 400 requests each at once', async () => {
    const one = `GET /v1/models HTTP/1.1\r\nHost: x\r\n${holder()}\r\n\r\n`
    const busy = Array.from({ length: 200 }, () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined).resume()
      socket.write(one.repeat(400))
      return socket
    })
    await Promise.all(busy.map((socket) => new Promise((resolve) => socket.once('data', resolve))))
    const waits: number[] = []
    for (let index = 0; index < 15; index += 1) {
      const startedAt = performance.now()
      assert.equal((await send('GET /admin/users?limit=1', 'Host: x', bearer)).status, 200)
      waits.push(performance.now() - startedAt)
    }
    for (const socket of busy) socket.destroy()
    const median = waits.toSorted((a, b) => a - b)[7] ?? Number.NaN
    assert.ok(median < 250, `the ordinary client waited ${waits.map(Math.round)} ms`)
  })
})

describe('the demo', { timeout: 60_000 }, () => {
  const demoAdmin = 'Authorization: Bearer demo-admin-key-1'
  const demoAnn = 'Authorization: Bearer demo-ann'
  const asks = [
    ['GET /healthz', ''],
    ['GET /docs', ''],
    ['GET /admin/users', demoAdmin],
    ['GET /v1/usage', demoAnn],
    ['GET /v1/models', demoAnn],
    ['GET /auth/verify', demoAnn],
  ] as const

  it('answers to loopback names only, whatever it is asked', () =>
    withFolder(async (folder) => {
      const program = startProgram(['--demo'], { PORT: '0', ADMIN_PORT: '0', TMPDIR: folder })
      try {
        const url = new URL(await program.listening)
        const adminPort = Number(/http:\/\/127\.0\.0\.1:(\d+)\/admin/.exec(program.output())?.[1] ?? url.port)
        const portOf = (line: string) =>
          line.includes('/admin') || line.includes('/docs') ? adminPort : Number(url.port)
        const statusOf = async (line: string, credential: string, host: string) =>
          (
            await exchange(
              portOf(line),
              requestText(line, [`Host: ${host}`, ...(credential === '' ? [] : [credential])]),
            )
          ).status
        for (const [line, credential] of asks) {
          for (const host of [
            'evil.example',
            'evil.example:8080',
            '192.168.1.5',
            '0.0.0.0',
            'localhost.evil.example',
            '127.0.0.1.evil.example',
            'evillocalhost',
            '[::2]',
            'localhost@evil',
            '',
          ])
            assert.equal(await statusOf(line, credential, host), 421, `${line} at ${host}`)
          for (const host of [
            'localhost',
            'LOCALHOST:9',
            '127.0.0.1',
            '127.1.2.3:80',
            '[::1]:8080',
            'app.localhost',
            'localhost.',
          ])
            assert.notEqual(await statusOf(line, credential, host), 421, `${line} at ${host}`)
        }
        const absolute = requestText(`GET http://evil.example/admin/users`, ['Host: localhost', demoAdmin])
        const answer = await exchange(adminPort, absolute)
        assert.equal(answer.status, 421)
        assert.match(JSON.parse(answer.body).error, /localhost.*DEMO_HOSTS/)
      } finally {
        await close(program)
      }
    }))

  it('opens nothing for a page of another origin that cannot send a header', () =>
    withFolder(async (folder) => {
      const program = startProgram(['--demo'], { PORT: '0', TMPDIR: folder, DEMO_HOSTS: 'demo.example.org' })
      try {
        const port = Number(new URL(await program.listening).port)
        const ask = (line: string, ...headers: string[]) => exchange(port, requestText(line, headers))
        const page = ['Host: localhost', 'Origin: https://evil.example']
        for (const path of ['/admin/users', '/v1/models', '/usage', '/auth/check', '/v1/messages']) {
          const preflight = await ask(
            `OPTIONS ${path}`,
            ...page,
            'Access-Control-Request-Headers: authorization',
          )
          assert.doesNotMatch(preflight.head, /access-control-allow/i)
          for (const key of ['token', 'key', 'api_key', 'access_token', 'authorization']) {
            const line = `${path === '/v1/models' || path === '/admin/users' ? 'GET' : 'POST'} ${path}?${key}=demo-admin-key-1`
            const answer = await ask(line, ...page, `Cookie: ${key}=demo-admin-key-1`)
            assert.equal(answer.status, 401, line)
          }
        }
        assert.equal((await ask('GET /healthz', 'Host: demo.example.org:8080')).status, 200)
        assert.equal((await ask('GET /healthz', 'Host: other.example.org')).status, 421)
      } finally {
        await close(program)
      }
    }))
})
