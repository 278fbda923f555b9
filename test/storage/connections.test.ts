import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { createSortableId } from '#lib/sortable-id.ts'
import { moveStore } from '#storage/move.ts'
import { openStore } from '#storage/open.ts'
import { connect } from '#storage/postgres/connect.ts'
import { openServers } from '#storage/postgres/servers.ts'
import { beginOn } from '#storage/postgres/session.ts'
import { openMoveTarget } from '#storage/postgres/target.ts'
import { type Store, StoreUnavailable } from '#storage/store.ts'
import { ask, newUser, now } from '../metering/questions.ts'
import { by } from '../support/by.ts'
import { createAuthority } from '../support/certificates.ts'
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts'
import { freePort } from '../support/free-port.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { keepsStatements, type Pooler, startPooler } from '../support/pooler.ts'
import { createPostgres, databases, type TestDatabase } from '../support/stores.ts'

/** How a database is reached: by TLS of each kind, by several hosts, by a socket, through poolers that refuse. */
type Postgres = TestDatabase & { readonly url: string }

let server: DatabaseServer
let database: Postgres
before(async () => {
  server = await startDatabaseServer()
  database = await createPostgres(server.urlOf('postgres'))
})
after(() => server.stop())

const settingsAt = (url: string, directUrl?: string) =>
  database.settings({ database: { kind: 'postgres', url, ...(directUrl !== undefined && { directUrl }) } })

function withParameters(url: string, parameters: Readonly<Record<string, string>>): string {
  const changed = new URL(url)
  for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value)
  return changed.href
}

/** Whether the connections of a store that is open are encrypted. */
async function opens(url: string): Promise<boolean> {
  const store = await openStore(settingsAt(url))
  try {
    const user = await newUser(store, 1000)
    await store.metering.runBatch({
      now,
      settlements: [],
      asks: [ask(createSortableId('req_', now), user.accessToken)],
    })
    const rows = await database.rows(
      "select ssl from pg_stat_activity join pg_stat_ssl using (pid) where application_name = 'tollgate'",
    )
    assert.ok(rows.length > 1)
    assert.equal(new Set(rows.map(({ ssl }) => ssl)).size, 1, 'all of them, or none')
    return rows[0]?.ssl === true
  } finally {
    await store.close()
  }
}

async function refuses(url: string, why: RegExp, directUrl?: string): Promise<void> {
  await assert.rejects(openStore(settingsAt(url, directUrl)), (error: Error) => {
    assert.match(error.message, why)
    assert.equal(error.message.split('\n').length, 1)
    assert.ok(!error.message.includes(new URL(database.url).password))
    return true
  })
}

describe('a database by TLS', () => {
  const at = (parameters: Readonly<Record<string, string>>) => withParameters(database.url, parameters)

  it('without it is refused or taken, as the mode says', async () => {
    assert.equal(await opens(at({})), false)
    assert.equal(await opens(at({ sslmode: 'prefer' })), false)
    assert.equal(await opens(at({ sslmode: 'allow' })), false)
    await refuses(at({ sslmode: 'require' }), /^DATABASE_URL: .*does not support SSL.*sslmode=prefer/)
  })

  it('is trusted as libpq trusts it', async () => {
    const data = join(server.folder, 'data')
    const [right, wrong] = ['right', 'wrong'].map((name) => createAuthority(server.folder, name))
    assert.ok(right && wrong)
    const { certificate, key } = right.issue('server', '127.0.0.1')
    const own = right.issue('client', '192.0.2.1')
    for (const [name, value] of Object.entries({
      ...{ ssl_cert_file: certificate, ssl_key_file: key, ssl_ca_file: right.certificate, ssl: 'on' },
    }))
      await database.change(`alter system set ${name} = '${value}'`)
    await database.rows('select pg_reload_conf()')
    await waitUntil(async () => (await database.rows('show ssl'))[0]?.ssl === 'on', `TLS with ${data}`)
    const elsewhere = (parameters: Readonly<Record<string, string>>) =>
      at(parameters).replace('@127.0.0.1:', '@localhost:')

    for (const sslmode of ['require', 'prefer', 'no-verify'])
      assert.equal(await opens(at({ sslmode })), true, sslmode)
    assert.equal(await opens(at({ sslmode: 'disable' })), false)
    assert.equal(await opens(at({ sslmode: 'allow' })), false)
    await refuses(at({ sslmode: 'verify-full' }), /certificate.*sslrootcert/)
    const trusted = { sslrootcert: right.certificate }
    for (const sslmode of ['require', 'verify-ca', 'verify-full'])
      assert.equal(await opens(at({ sslmode, ...trusted })), true, sslmode)
    for (const sslmode of ['require', 'verify-ca'])
      assert.equal(await opens(elsewhere({ sslmode, ...trusted })), true, `${sslmode} asks for no name`)
    await refuses(elsewhere({ sslmode: 'verify-full', ...trusted }), /altnames|does not match/)
    for (const sslmode of ['require', 'verify-ca', 'verify-full'])
      await refuses(at({ sslmode, sslrootcert: wrong.certificate }), /certificate.*sslrootcert/)
    await refuses(
      at({ sslmode: 'verify-full', sslrootcert: '/nonexistent.pem' }),
      /^DATABASE_URL: sslrootcert: cannot read \/nonexistent\.pem \(ENOENT\)$/,
    )
    const ours = { sslcert: own.certificate, sslkey: own.key }
    assert.equal(await opens(at({ sslmode: 'verify-full', ...trusted, ...ours })), true)
  })
})

describe('a database by other ways', () => {
  it('is found among several hosts, past one that is not there', async () => {
    const dead = await freePort()
    const several = database.url.replace('@127.0.0.1:', `@127.0.0.1:${dead},127.0.0.1:`)
    assert.equal(await opens(several), false)
    assert.equal(await opens(withParameters(database.url, { target_session_attrs: 'read-write' })), false)
    const none = database.url.replace(`@127.0.0.1:${server.port}`, `@127.0.0.1:${dead},127.0.0.1:${dead}`)
    await refuses(none, /^DATABASE_URL: .*ECONNREFUSED/)
  })

  it('is left where it only reads', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await database.change(`alter database ${name} set default_transaction_read_only = on`)
    await refuses(database.url, /^DATABASE_URL: the server only reads, as a standby does/)
    await database.change(
      `begin read write; alter database ${name} reset default_transaction_read_only; commit`,
    )
  })

  it('is reached by its socket', async () => {
    const { username, password, pathname } = new URL(database.url)
    const socket = `host=${encodeURIComponent(server.folder)}&port=${server.port}`
    assert.equal(
      await opens(`postgres://${username}:${password}@${pathname}?${socket}&sslmode=require`),
      false,
    )
  })

  it('takes what the operator sets in options before what we set', async () => {
    const options = '-c statement_timeout=7s -c search_path=public'
    const store = await openStore(settingsAt(withParameters(database.url, { options })))
    const user = await newUser(store, 1000)
    await store.metering.runBatch({ now, settlements: [], asks: [ask('o', user.accessToken)] })
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    // A statement of the store waits for this lock, and is ended by the operator's limit.
    await client.query('begin')
    await client.query(`select id from users where id = '${user.id}' for update`)
    const since = performance.now()
    await assert.rejects(store.users.disableUser({ id: user.id }, undefined, by(now)), (error) => {
      assert.ok(error instanceof StoreUnavailable && error.cause instanceof Error)
      assert.match(error.cause.message, /statement timeout/)
      return true
    })
    const took = performance.now() - since
    assert.ok(took > 6_000 && took < 9_500, `${Math.round(took)} ms`)
    await client.end()
    await store.close()
  })

  it('is the same by the way past a pooler, or the start is refused', async () => {
    const other = await createPostgres(server.urlOf('postgres'))
    await refuses(
      database.url,
      /^DATABASE_DIRECT_URL: leads to another database than DATABASE_URL/,
      other.url,
    )
    const dead = database.url.replace(String(server.port), String(await freePort()))
    await refuses(database.url, /^DATABASE_DIRECT_URL: .*ECONNREFUSED/, dead)
    await other.remove()
  })
})

describe('a pooler that cannot give what is asked', () => {
  async function withPooler(
    settings: Readonly<Record<string, string>>,
    run: (pooler: Pooler) => Promise<void>,
  ): Promise<void> {
    const pooler = await startPooler(server.urlOf('postgres'), settings)
    try {
      await run(pooler)
    } finally {
      await pooler.stop()
    }
  }

  it('is told apart at the start, with the setting to change', async () => {
    await withPooler({}, async (pooler) => {
      const url = withParameters(pooler.through(database.url), { options: '-c work_mem=8MB' })
      if (!keepsStatements()) await refuses(url, /unsupported startup parameter.*ignore_startup_parameters/)
    })
    await withPooler({ max_client_conn: '1' }, async (pooler) => {
      const taken = new pg.Client({ connectionString: pooler.through(database.url) })
      taken.on('error', () => {})
      await taken.connect()
      await refuses(pooler.through(database.url), /no more connections allowed.*raise its max_client_conn/)
      await taken.end()
    })
    await withPooler({ pool_mode: 'statement' }, async (pooler) => {
      await refuses(pooler.through(database.url), /set the pool_mode of the pooler to transaction or session/)
    })
    await withPooler({ default_pool_size: '1', query_wait_timeout: '1' }, async (pooler) => {
      await refuses(pooler.through(database.url), /^(?!.*password).*default_pool_size/)
    })
  })

  it('whose pool is used up is named while requests get their answer, and is used again', () =>
    withPooler({ pool_mode: 'transaction', default_pool_size: '2' }, async (pooler) => {
      const store = await openStore(settingsAt(pooler.through(database.url)))
      const user = await newUser(store, 1000)
      const batch = (id: string) => ({ now, settlements: [], asks: [ask(id, user.accessToken)] })
      await store.metering.runBatch(batch('p1'))
      const takers = await Promise.all(
        [1, 2].map(async () => {
          const client = new pg.Client({ connectionString: pooler.through(database.url) })
          await client.connect()
          await client.query('begin')
          return client
        }),
      )
      const since = performance.now()
      await assert.rejects(store.metering.runBatch(batch('p2')), (error) => {
        assert.ok(error instanceof StoreUnavailable && error.cause instanceof Error)
        assert.match(error.cause.message, /default_pool_size/)
        assert.ok('code' in error.cause && error.cause.code === 'NO_ANSWER')
        return true
      })
      assert.ok(performance.now() - since < 8_000)
      assert.equal(await isReady(store), false)
      for (const client of takers) await client.end()
      await waitUntil(() => isReady(store), 'it is ready again', 10_000)
      await store.metering.runBatch(batch('p3'))
      await store.close()
    }))

  const isReady = (store: Store) =>
    store.check().then(
      () => true,
      () => false,
    )

  for (const mode of ['session', 'transaction'])
    it(`is told our settings with each transaction and for it alone, in ${mode} mode`, () =>
      withPooler({ pool_mode: mode, default_pool_size: '1' }, async (pooler) => {
        const options = '-c enable_hashjoin=on'
        const servers = openServers(pooler.through(database.url), 'the test')
        const ours = openServers(withParameters(database.url, { options }), 'the test')
        const [client, direct] = await Promise.all(
          [servers, ours].map((each) => connect(each, { queryMs: 4321, isPipelined: true })),
        )
        assert.ok(client && direct)
        const names = ['statement_timeout', 'idle_in_transaction_session_timeout', 'enable_seqscan', 'jit']
        const columns = [...names, 'enable_hashjoin'].map((name) => `current_setting('${name}') as ${name}`)
        const shown = async (at: pg.Client) => Object.values((await at.query(`select ${columns}`)).rows[0])
        const theirs = await shown(client)
        assert.deepEqual(theirs.slice(0, 3), ['0', '0', 'on'], 'not for others')
        await client.query(beginOn(client))
        assert.deepEqual(await shown(client), ['4321ms', '3s', 'off', 'off', 'off'])
        await client.query('commit')
        assert.deepEqual(await shown(client), theirs)
        assert.deepEqual(await shown(direct), ['4321ms', '3s', 'off', 'off', 'on'], 'what the URL says wins')
        await Promise.all([client.end(), direct.end()])
      }))

  for (const mode of ['session', 'transaction'])
    it(`keeps no lock of a move through it, in ${mode} mode`, () =>
      withPooler({ pool_mode: mode }, async (pooler) => {
        const [kind] = databases.filter(({ name }) => name === 'SQLite')
        const source = (await kind?.create()) ?? assert.fail('these run on both')
        const target = await createPostgres(server.urlOf('postgres'))
        const opened = await openStore(source.settings())
        for (let count = 0; count < 30; count++) await newUser(opened, 1000 + count)
        await opened.close()
        const { database: from } = source.settings()
        assert.ok(from.kind === 'sqlite')
        const locks = () => target.rows("select * from pg_locks where locktype = 'advisory'")
        const to = { url: pooler.through(target.url) }
        const held = await openMoveTarget(to)
        assert.equal((await locks()).length, 1)
        await assert.rejects(openMoveTarget(to), /another migrate-store is filling this database/)
        await held.close()
        await waitUntil(async () => (await locks()).length === 0, 'nothing is locked any more')
        const moved = await moveStore({
          ...{ from: { path: from.path }, to, signal: new AbortController().signal, rowsAtOnce: 7 },
          onProgress: () => undefined,
        })
        assert.equal(moved.kind, 'moved')
        await waitUntil(async () => (await locks()).length === 0, 'nothing is locked any more')
        const [{ n } = {}] = await target.rows('select count(*) as n from users')
        assert.equal(n, 30)
        await target.remove()
        await source.remove()
      }))
})
