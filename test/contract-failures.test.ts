import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { type Store, StoreUnavailable } from '#storage/store.ts'
import { type AdminServer, adminSecret, openAdminServer } from './support/admin-server.ts'
import { databases } from './support/stores.ts'

let server: AdminServer
/** Throws what a test wants thrown, at the call it wants. */
let failing:
  | {
      readonly method: 'findUser' | 'listUserTexts' | 'writeUsers' | 'findAdminKey'
      readonly error: unknown
      skip?: number
    }
  | undefined

function breakable(store: Store): Store {
  const maybe = <Args extends unknown[], T>(method: string, work: (...args: Args) => Promise<T>) => {
    return async (...args: Args): Promise<T> => {
      if (failing?.method === method && (failing.skip ?? 0) === 0) throw failing.error
      if (failing?.method === method) failing.skip = (failing.skip ?? 0) - 1
      return work(...args)
    }
  }
  const { users, adminKeys } = store
  return {
    ...store,
    users: {
      ...users,
      findUser: maybe('findUser', users.findUser),
      listUserTexts: maybe('listUserTexts', users.listUserTexts),
      writeUsers: maybe('writeUsers', users.writeUsers),
    },
    adminKeys: { ...adminKeys, findAdminKey: maybe('findAdminKey', adminKeys.findAdminKey) },
  }
}

for (const database of databases) {
  describe(`failures on ${database.name}`, () => {
    before(async () => {
      server = await openAdminServer(database, { wrap: breakable })
    })
    after(() => server.close())

    const secretError = () =>
      new Error('the cause names sentinel-0815', { cause: new Error('inner sentinel-0815') })

    describe('when something breaks', () => {
      it('answers 503 while the store is away, also for who cannot be authenticated', async () => {
        for (const [method, path] of [
          ['findUser', '/admin/users/a'],
          ['listUserTexts', '/admin/users'],
          ['findAdminKey', '/admin/users'],
        ] as const) {
          failing = { method, error: new StoreUnavailable(secretError()) }
          const { status, headers, text } = await server.send({ method: 'GET', path })
          assert.equal(status, 503, text)
          assert.equal(headers['retry-after'], '1')
          assert.partialDeepStrictEqual(JSON.parse(text), {
            code: 'store_unavailable',
            requestId: headers['x-request-id'],
          })
          assert.doesNotMatch(text, /sentinel-0815/)
        }
        failing = undefined
        assert.match(server.log(), /inner sentinel-0815/)
      })

      it('answers 500 without the reason, which the log has under the request id', async () => {
        failing = { method: 'writeUsers', error: secretError() }
        const { status, text, headers } = await server.send({
          method: 'PUT',
          path: '/admin/users/a',
          body: {},
        })
        failing = undefined
        assert.equal(status, 500)
        assert.deepEqual(Object.keys(JSON.parse(text)), ['error', 'code', 'requestId'])
        assert.doesNotMatch(text, /sentinel|at |\.ts/)
        const lines = server
          .log()
          .split('\n')
          .filter((entry) => entry.includes(String(headers['x-request-id'])))
        assert.ok(lines.some((entry) => entry.includes('inner sentinel-0815')))
      })

      it('cuts the connection where a streamed list breaks off, so that nobody takes a part for the whole', async () => {
        for (let part = 0; part < 30; part++) {
          const users = Array.from({ length: 20 }, (_, index) => ({ token: `user-${part}-${index}` }))
          await server.send({ method: 'PUT', path: '/admin/users', body: { users } })
        }
        failing = { method: 'listUserTexts', error: new StoreUnavailable(secretError()), skip: 2 }
        await assert.rejects(server.send({ method: 'GET', path: '/admin/users' }), { code: 'ECONNRESET' })
        failing = undefined
        assert.match(server.log(), /a list of users broke off/)
        const whole = await server.send({ method: 'GET', path: '/admin/users' })
        assert.equal(JSON.parse(whole.text).count, 600)
      })
    })

    /** Speaks to the server byte by byte, and answers all it said until it closed or went silent. */
    function speak(bytes: readonly (string | Buffer)[]): Promise<string> {
      const socket = connect(server.port, '127.0.0.1')
      const { promise, resolve } = Promise.withResolvers<string>()
      let heard = ''
      socket.setTimeout(3000, () => socket.destroy())
      socket.on('data', (chunk) => {
        heard += chunk
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(heard))
      for (const part of bytes) socket.write(part)
      return promise
    }

    const authorized = `Host: x\r\nAuthorization: Bearer ${adminSecret}\r\n`

    describe('requests that are no requests', () => {
      const cases: readonly (readonly [string, string])[] = [
        ['a target that is no path', `OPTIONS * HTTP/1.1\r\n${authorized}connection: close\r\n\r\n`],
        ['a host that is none', 'GET /admin/users HTTP/1.1\r\nHost: a b\r\nconnection: close\r\n\r\n'],
        ['a backslash', `GET /admin\\users HTTP/1.1\r\n${authorized}connection: close\r\n\r\n`],
      ]
      for (const [name, bytes] of cases) {
        it(`answers ${name} in the envelope`, async () => {
          const heard = await speak([bytes])
          assert.match(heard, /^HTTP\/1\.1 400 /)
          assert.match(heard, /\{"error":"[^"]+","code":"bad_request","requestId":"req_/)
        })
      }

      it('refuses an announced length before the body, and does not wait for it', async () => {
        const heard = await speak([
          `PUT /admin/users HTTP/1.1\r\n${authorized}content-length: 999999999\r\n\r\n`,
          'x',
        ])
        assert.match(heard, /^HTTP\/1\.1 413 /)
        assert.match(heard, /"code":"body_too_large"/)
      })

      it('answers 401 to a stranger without reading what he sends', async () => {
        const heard = await speak([
          'PUT /admin/users HTTP/1.1\r\nHost: x\r\ncontent-length: 999999999\r\n\r\n',
          'x',
        ])
        assert.match(heard, /^HTTP\/1\.1 401 /)
      })

      it('lives on when a client leaves in the middle of a body', async () => {
        const socket = connect(server.port, '127.0.0.1')
        socket.write(
          `PUT /admin/users/gone HTTP/1.1\r\n${authorized}content-length: 100\r\n\r\n{"nickname":`,
          () => socket.destroy(),
        )
        await new Promise((resolve) => socket.on('close', resolve))
        const { status } = await server.send({ method: 'GET', path: '/admin/users/gone' })
        assert.equal(status, 404)
      })
    })

    describe('at the same time', () => {
      it('one key makes one user, however many repeat it', async () => {
        const send = () =>
          server.send({
            method: 'POST',
            path: '/admin/users',
            body: {},
            headers: { 'idempotency-key': 'parallel' },
          })
        const answers = await Promise.all(Array.from({ length: 20 }, send))
        assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
        assert.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined).length, 1)
      })

      it('of edits that hold to one version, one wins', async () => {
        await server.send({ method: 'PUT', path: '/admin/users/raced', body: {} })
        const send = (nickname: number) =>
          server.send({
            method: 'PUT',
            path: '/admin/users/raced',
            body: { nickname: `${nickname}` },
            headers: { 'if-match': '"1"' },
          })
        const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => send(index)))
        assert.deepEqual(answers.map(({ status }) => status).sort(), [
          200,
          ...Array.from({ length: 9 }, () => 412),
        ])
      })
    })
  })
}
