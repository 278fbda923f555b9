import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { type Cluster, type Instance, openCluster } from '../support/cluster.ts'
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts'
import { openEndlessStream, streamBodyOf, streamProtocols } from '../support/endless-stream.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { keepsStatements, type Pooler, type PoolerSettings, startPooler } from '../support/pooler.ts'

/**
 * Instances behind PgBouncer as operators have it. Between two transactions a pooler that pools transactions hands its
 * connections round: what one client sets, prepares or listens to there is another's.
 */
interface Setup {
  readonly name: string
  readonly settings: PoolerSettings
  /** Whether notifications come through it, or past it. */
  readonly isHeard: boolean
  readonly isDirect?: boolean
}

const transactions = { pool_mode: 'transaction', default_pool_size: '4' }
const setups: readonly Setup[] = [
  { name: 'sessions, with its defaults', settings: {}, isHeard: true },
  {
    name: 'transactions, and no prepared statements',
    settings: { ...transactions, ...(keepsStatements() && { max_prepared_statements: '0' }) },
    isHeard: false,
  },
  ...(keepsStatements()
    ? [{ name: 'transactions, with its defaults', settings: transactions, isHeard: false }]
    : []),
  { name: 'transactions, and a way past it', settings: transactions, isHeard: true, isDirect: true },
]

let server: DatabaseServer
before(async () => {
  server = await startDatabaseServer()
})
after(() => server.stop())

const body = (units: number) => ({
  model: `gpt-4o@units=${units}`,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Hi' }],
})

const protocolOf = () => streamProtocols[0] ?? assert.fail()

async function notesOf({ port }: Instance): Promise<string> {
  const answer = await call(port, { method: 'GET', path: '/readyz' })
  // While it is looking for the pooler it is not ready.
  if (answer.status === 503) return 'not ready'
  assert.equal(answer.status, 200, answer.text)
  const { notes = [] }: { readonly notes?: readonly string[] } = JSON.parse(answer.text)
  return notes.join('\n')
}

for (const { name, settings, isHeard, isDirect = false } of setups)
  describe(`two instances behind a pooler that pools ${name}`, () => {
    let pooler: Pooler
    let cluster: Cluster
    let [here, there]: readonly Instance[] = []
    const at = (instance: Instance | undefined) => instance ?? assert.fail('it was started')

    before(async () => {
      pooler = await startPooler(server.urlOf('postgres'), settings)
      cluster = await openCluster({
        instances: 2,
        server: server.urlOf('postgres'),
        through: pooler.through,
        env: { TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'warn' },
        ...(isDirect && { direct: (url) => url }),
        upstream: { behaviour: { chunkMs: 25 } },
      })
      ;[here, there] = cluster.instances
    })
    after(async () => {
      await cluster.close()
      await pooler.stop()
    })

    const newUser = async (edit: Readonly<Record<string, unknown>> = {}) => {
      const { token, id } = await cluster.admin(at(here), 'POST', '/admin/users', edit)
      return { accessToken: String(token), path: `/admin/users/${String(id)}` }
    }

    it('relays, and keeps a quota to the unit, over many at once', async () => {
      const users = await Promise.all(
        Array.from({ length: 12 }, () => newUser({ tokenLimits: { gpt4: 1000 } })),
      )
      const asks = users.flatMap(({ accessToken }) =>
        Array.from({ length: 12 }, async (_, index) => {
          const { port } = at(index % 2 === 0 ? here : there)
          return (await call(port, { path: '/v1/chat/completions', accessToken, body: body(10) })).status
        }),
      )
      const counts = Object.groupBy(await Promise.all(asks), String)
      const others = Object.keys(counts).filter((status) => !['200', '429'].includes(status))
      const logs = () => cluster.instances.map(({ program }) => program.output()).join('\n')
      assert.deepEqual(others, [], `served, or over the quota: ${others.length > 0 ? logs() : ''}`)
      assert.ok((counts['200']?.length ?? 0) >= users.length, 'each is served')
      const over = 'select user_id from quotas where used + reserved > quota_limit'
      assert.deepEqual(await cluster.database.rows(over), [])
      for (const { path, accessToken } of users) {
        await cluster.admin(at(there), 'PUT', path, { nickname: `n ${path}`, tokenLimits: { gpt4: -1 } })
        const { port } = at(here)
        const answer = await call(port, { path: '/v1/chat/completions', accessToken, body: body(1) })
        assert.equal(answer.status, 200, answer.text)
      }
      const { count } = await cluster.admin(at(there), 'GET', '/admin/users')
      assert.equal(count, users.length)
      await waitUntil(async () => (await open()) === 0, 'everything is settled')
      await assertInvariants(cluster.database)
    })

    const open = async () =>
      Number((await cluster.database.rows("select count(*) as n from entries where state = 'open'"))[0]?.n)

    it('says whether notifications arrive, and what to do', async () => {
      for (const instance of cluster.instances) {
        if (isHeard) await waitUntil(async () => (await notesOf(instance)) === '', 'it hears')
        else {
          const said = async () => /pools transactions.*DATABASE_DIRECT_URL/.test(await notesOf(instance))
          await waitUntil(said, 'it says that it hears nothing', 10_000)
          const warnings = () => instance.program.output().match(/pools transactions/g)?.length ?? 0
          await waitUntil(() => warnings() > 0, 'the log says so as well')
          assert.equal(warnings(), 1, 'once')
        }
      }
    })

    for (const protocol of streamProtocols)
      it(`cuts what runs elsewhere within a second, on ${protocol.path}`, async () => {
        for (let round = 0; round < 3; round++) {
          const user = await newUser()
          const stream = openEndlessStream(at(there).port, protocol, user.accessToken)
          const other = openEndlessStream(at(there).port, protocol, (await newUser()).accessToken)
          await Promise.all([stream.runs(), other.runs()])
          const since = performance.now()
          await cluster.admin(at(here), 'DELETE', `${user.path}?disabledReason=left`)
          assert.match(await stream.cutWithin(since), /disabled: left/)
          assert.equal(other.hasEnded(), false)
          other.close()
          const answer = await call(at(there).port, {
            path: protocol.path,
            accessToken: user.accessToken,
            body: { ...streamBodyOf(protocol, 2), stream: false },
          })
          assert.equal(answer.status, 403)
        }
      })

    it('leaves nothing behind for other clients of the pooler', async () => {
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const client = new pg.Client({ connectionString: pooler.through(cluster.database.url) })
          client.on('error', () => {})
          await client.connect()
          // Held in a transaction, so that each has another connection.
          await client.query('begin')
          return client
        }),
      )
      for (const client of clients) {
        const { rows } = await client.query(
          `select current_setting('statement_timeout') as timeout, current_setting('enable_seqscan') as seqscan,
            current_setting('idle_in_transaction_session_timeout') as idle`,
        )
        assert.deepEqual(rows, [{ timeout: '0', seqscan: 'on', idle: '0' }])
      }
      await Promise.all(clients.map((client) => client.end()))
      const locks = await cluster.database.rows("select * from pg_locks where locktype = 'advisory'")
      assert.deepEqual(locks, [])
    })

    if (!isHeard)
      it('hears again once the pooler keeps sessions', async () => {
        await pooler.restart({})
        for (const instance of cluster.instances)
          await waitUntil(async () => (await notesOf(instance)) === '', 'it hears', 10_000)
        const user = await newUser()
        const stream = openEndlessStream(at(there).port, protocolOf(), user.accessToken)
        await stream.runs()
        const since = performance.now()
        await cluster.admin(at(here), 'DELETE', user.path)
        assert.match(await stream.cutWithin(since), /disabled/)
      })
  })
