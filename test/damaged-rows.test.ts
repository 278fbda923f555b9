import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AdminServer, openAdminServer, otherAdminSecret, startAt } from './support/admin-server.ts'
import { book, newUserId } from './support/ledger.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/**
 * Rows that were changed by hand into what this program never writes. Only the embedded database takes a text in a column
 * of numbers; both take any text in a column of text.
 */
interface World {
  readonly server: AdminServer
  readonly database: TestDatabase
}

for (const kind of databases) {
  const isTyped = kind.name === 'PostgreSQL'

  const withWorld = async (run: (world: World) => Promise<void>) => {
    let database: TestDatabase | undefined
    const create = async () => {
      database = await kind.create()
      return database
    }
    const server = await openAdminServer({ ...kind, create })
    try {
      assert.ok(database)
      await run({ server, database })
    } finally {
      await server.close()
    }
  }

  const read = async ({ server }: World, path: string, method = 'GET') => {
    const { status, text } = await server.send({ method, path })
    assert.equal(status, 200, `${method} ${path}: ${text}`)
    return JSON.parse(text)
  }

  /** The headers of a browser that has logged in. */
  const logIn = async (server: AdminServer, secret: string) => {
    const headers = { authorization: `Bearer ${secret}`, 'sec-fetch-site': 'same-origin' }
    const answer = await server.send({ method: 'POST', path: '/admin/sessions', headers })
    assert.equal(answer.status, 200, answer.text)
    const [cookie = ''] = String(answer.headers['set-cookie']).split(';')
    return { authorization: undefined, cookie, 'sec-fetch-site': 'same-origin' }
  }

  const idsOf = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)

  describe(`one damaged row on ${kind.name}`, () => {
    // The typed columns of a server refuse these values.
    const itUntyped = (what: string, run: () => Promise<void>) => {
      if (!isTyped) void it(what, run)
    }

    itUntyped('of a quota leaves every other user in the lists', () =>
      withWorld(async (world) => {
        const { server, database } = world
        const edit = { quotaLimits: { turbo: 10 } }
        const [sound, broken] = [
          await newUserId(server.store, startAt, edit),
          await newUserId(server.store, startAt + 1, edit),
        ]
        for (const userId of [sound, broken])
          await book(server.store, { userId, at: startAt, family: 'turbo' })
        for (const column of [
          'period_bonus',
          'used',
          'reserved',
          'open_requests',
          'period_started_at',
          'quota_limit',
        ])
          for (const value of ["'abc'", "x'00ff'"]) {
            const those = `where user_id = '${broken}' and family = 'turbo'`
            const [row] = await database.rows(`select ${column} as was from quotas ${those}`)
            await database.change(`update quotas set ${column} = ${value} ${those}`)
            for (const path of ['/admin/users', '/admin/users?limit=10'])
              assert.deepEqual(idsOf((await read(world, path)).users), [sound], `${column} ${path}`)
            assert.ok(server.log().includes(`"unreadable":["${broken}"]`))
            const { status } = await server.send({ method: 'GET', path: `/admin/users/${broken}` })
            assert.equal(status, 409)
            await read(world, '/admin/quota/reset', 'POST')
            await database.change(`update quotas set ${column} = ${row?.was} ${those}`)
          }
        assert.deepEqual(idsOf((await read(world, '/admin/users')).users), [sound, broken])
      }),
    )

    it('of an entry leaves every other request in the list', () =>
      withWorld(async (world) => {
        const { server, database } = world
        const userId = await newUserId(server.store, startAt)
        const ids = []
        for (const at of [startAt, startAt + 1, startAt + 2])
          ids.unshift(await book(server.store, { userId, at, usage: { output: 3 } }))
        const [last, broken, first] = ids
        assert.ok(broken)
        const damages = isTyped
          ? ["state = 'odd'"]
          : ["state = 'odd'", "units = 'abc'", "input = x'00ff'", "started_at = 'abc'", "family = x'00ff'"]
        const kept = await database.rows(`select * from entries where id = '${broken}'`)
        for (const damage of damages) {
          await database.change(`update entries set ${damage} where id = '${broken}'`)
          for (const path of ['/admin/requests', `/admin/requests?user=${userId}`])
            assert.deepEqual(idsOf((await read(world, path)).requests), [last, first], `${damage} ${path}`)
          assert.deepEqual(
            idsOf((await read(world, `/admin/requests?limit=2`)).requests),
            [last],
            'a page keeps its length in rows',
          )
          assert.deepEqual((await read(world, `/admin/requests?id=${broken}`)).requests, [])
          assert.ok(server.log().includes(`"unreadable":["${broken}"]`))
          const column = damage.split(' ')[0] ?? ''
          const was = kept[0]?.[column]
          const value = typeof was === 'string' ? `'${was}'` : was
          await database.change(`update entries set ${column} = ${value} where id = '${broken}'`)
        }
        assert.deepEqual(idsOf((await read(world, '/admin/requests')).requests), ids)
      }))

    it('of an admin key is shown as damaged, opens nothing, and can be deleted', () =>
      withWorld(async (world) => {
        const { server, database } = world
        const [admin, other, verifier] = (await read(world, '/admin/keys')).keys
        const session = await logIn(server, otherAdminSecret)
        const damages = isTyped
          ? ["scopes = 'odd'"]
          : ["scopes = 'odd'", "scopes = x'00ff'", "expires_at = 'abc'"]
        for (const damage of damages) {
          await database.change(`update admin_keys set ${damage} where id = '${other.id}'`)
          const { keys } = await read(world, '/admin/keys')
          assert.deepEqual(keys, [admin, { ...other, scopes: [], isDamaged: true }, verifier])
          assert.ok(server.log().includes(`"unreadable":["${other.id}"]`))
          const headers = { authorization: `Bearer ${otherAdminSecret}` }
          for (const [method, path] of [
            ['GET', '/admin/users'],
            ['PUT', '/admin/users/made-by-a-damaged-key'],
            ['GET', '/admin/whoami'],
            ['GET', '/admin/nothing'],
          ] as const) {
            const answer = await server.send({ method, path, headers, ...(method === 'PUT' && { body: {} }) })
            const { code, error } = JSON.parse(answer.text)
            assert.deepEqual([answer.status, code], [403, 'forbidden'], damage)
            assert.match(error, /damaged.*make another key/)
          }
          const lines = server
            .log()
            .split('\n')
            .filter((line) => line.includes('whose row cannot be read was presented'))
          assert.ok(lines.some((line) => line.includes(other.id) && line.includes('"level":"error"')))
          // A session that it has opened has ended, and hides no other.
          assert.deepEqual((await read(world, '/admin/sessions')).sessions, [])
          const { status } = await server.send({ method: 'GET', path: '/admin/users', headers: session })
          assert.equal(status, 401)
        }
        assert.equal(
          (await server.send({ method: 'GET', path: '/admin/users/made-by-a-damaged-key' })).status,
          404,
        )
        // The damaged key does not count as one that can administer.
        const { status } = await server.send({ method: 'DELETE', path: `/admin/keys/${admin.id}` })
        assert.equal(status, 409)
        await read(world, `/admin/keys/${other.id}`, 'DELETE')
        assert.deepEqual((await read(world, '/admin/keys')).keys, [admin, verifier])
      }))

    itUntyped('of the usage keeps the sums', () =>
      withWorld(async (world) => {
        const { server, database } = world
        const userId = await newUserId(server.store, startAt)
        for (const status of [200, 500])
          await book(server.store, { userId, at: startAt, family: 'turbo', status, usage: { output: 3 } })
        await database.change(`update total_hours set status = 'abc', family = x'00ff' where status = 500`)
        await database.change(`update usage_minutes set model = x'00ff' where status = 500`)
        const groups = ['family', 'status', 'family,status', 'user,model']
        for (const groupBy of groups) {
          const query = `from=${startAt}&to=${startAt + 3_600_000}&bucket=hour&groupBy=${groupBy}`
          const { rows } = await read(world, `/admin/usage?${query}`)
          const sum = rows.reduce((all: number, row: { readonly output: number }) => all + row.output, 0)
          assert.equal(sum, 6, groupBy)
        }
      }),
    )
  })
}
