import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pg from 'pg'
import { readAccount, usageIn } from '../support/account.ts'
import { type Cluster, clusterAdminKey, type Instance, openCluster } from '../support/cluster.ts'
import { createRandom, runLoad, tellNothing } from '../support/crash-load.ts'
import { type Cut, startCut } from '../support/cut.ts'
import { type DatabaseServer, startDatabaseServer, startStandby } from '../support/database-server.ts'
import { openEndlessStream, streamProtocols } from '../support/endless-stream.ts'
import { call } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/**
 * A primary is killed under load and its standby promoted, which lags: the network between them was cut before, so that
 * the tail is lost for certain. Clients are told 503 at most; both instances find the new primary by themselves.
 */
const backMs = 15_000
const chat = streamProtocols[0] ?? assert.fail()

interface World {
  readonly primary: DatabaseServer
  readonly standby: DatabaseServer
  readonly replication: Cut
  readonly cluster: Cluster
  /** Asks the standby, past the program. */
  readonly rows: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
}

const numbers: ReadonlySet<number> = new Set([20, 1700])
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    numbers.has(oid) ? Number : pg.types.getTypeParser(oid, format),
}

async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const primary = await startDatabaseServer()
  const replication = await startCut(primary.port)
  const standby = await startStandby(primary, replication.port)
  const [one, two] = [primary, standby].map(({ port }) => `127.0.0.1:${port}`)
  const cluster = await openCluster({
    instances: 2,
    server: primary.urlOf('postgres'),
    through: (url) => `${url.replace(`@${one}/`, `@${two},${one}/`)}?target_session_attrs=read-write`,
    env: { LOG_LEVEL: 'error' },
    upstream: { behaviour: { chunkMs: 20 } },
  })
  const name = new URL(cluster.database.url).pathname.slice(1)
  const rows = async (text: string) => {
    const client = new pg.Client({ connectionString: standby.urlOf(name), types })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }
  try {
    await run({ primary, standby, replication, cluster, rows })
  } catch (cause) {
    const said = cluster.instances.map(({ program }) => program.output().slice(-2000))
    throw new Error(`the instances said: ${said.join('\n')}`, { cause })
  } finally {
    // The old primary, with what no other server has, only to take the database away.
    if (primary.pid() === undefined) await primary.resume()
    try {
      await cluster.close()
    } finally {
      await replication.close()
      await standby.stop()
      await primary.stop()
    }
  }
}

async function newUser({ cluster }: World, edit: Readonly<Record<string, unknown>> = {}) {
  const [at] = cluster.instances
  assert.ok(at)
  const { token, id } = await cluster.admin(at, 'POST', '/admin/users', edit)
  return { accessToken: String(token), id: String(id) }
}

const body = (units: number, mark: string) => ({
  model: `gpt-4o@units=${units};mark=${mark}`,
  max_tokens: 50,
  messages: [{ role: 'user', content: 'Hi' }],
})

async function statusOf({ port }: Instance, accessToken: string, mark: string): Promise<number> {
  return (await call(port, { path: chat.path, accessToken, body: body(2, mark) })).status
}

async function opened({ cluster }: World, userId: string): Promise<number> {
  const text = `select count(*) as n from entries where user_id = '${userId}' and state = 'open'`
  return Number((await cluster.database.rows(text))[0]?.n)
}

async function promote({ standby, primary, cluster }: World): Promise<number> {
  await primary.halt('killed')
  const client = new pg.Client({ connectionString: standby.urlOf('postgres') })
  await client.connect()
  await client.query('select pg_promote()')
  await client.end()
  const since = performance.now()
  for (const { port } of cluster.instances)
    await waitUntil(
      async () => (await call(port, { method: 'GET', path: '/readyz' })).status === 200,
      'the instance is ready again',
      backMs,
    )
  return performance.now() - since
}

describe('a standby that is promoted under load', { timeout: 180_000 }, () => {
  it('is found by every instance, and clients see 503 at most', (test) =>
    withWorld(async (world) => {
      const { cluster, replication, rows } = world
      const [first, second] = cluster.instances
      assert.ok(first && second)
      const single = await newUser(world, { concurrentRequests: 1 })
      const [held, over, late] = await Promise.all([
        newUser(world, { concurrentRequests: 1 }),
        newUser(world),
        newUser(world),
      ])
      const watched = await newUser(world)
      await replicated(world)
      let isOver = false
      const loads = cluster.instances.map(({ port }, index) => {
        const told = tellNothing()
        const url = `http://127.0.0.1:${port}`
        const mark = 'ab'[index] ?? assert.fail()
        const random = createRandom(Math.floor(Math.random() * 2 ** 32))
        const ended = runLoad({
          ...{ url, adminKey: clusterAdminKey, told, random, mark, mayBeAway: true },
          isOver: () => isOver,
        })
        return { told, ended }
      })
      const stream = openEndlessStream(second.port, chat, watched.accessToken)
      await stream.runs()
      await waitUntil(() => loads.every(({ told }) => told.counts.whole > 5), 'the load runs')
      const streamOf = (accessToken: string, units: number, mark: string) =>
        call(first.port, { path: chat.path, accessToken, body: { ...body(units, mark), stream: true } })
      // Admitted before the tail that is lost, settled within it; across both; and admitted within it.
      const streams = [streamOf(held.accessToken, 60, 'held'), streamOf(over.accessToken, 400, 'over')]
      await waitUntil(
        async () => (await opened(world, held.id)) + (await opened(world, over.id)) === 2,
        'both are admitted',
      )
      await replicated(world)
      await replication.cut('reset')
      const before = Number((await rows('select count(*) as n from entries'))[0]?.n)
      assert.equal(await statusOf(first, single.accessToken, 'lost'), 200)
      streams.push(streamOf(late.accessToken, 400, 'late'))
      assert.equal((await streams[0])?.status, 200)
      await waitUntil(async () => (await opened(world, held.id)) === 0, 'it is settled where it will be lost')
      await waitUntil(async () => (await opened(world, late.id)) === 1, 'it is admitted there')
      const backAfter = await promote(world)
      for (const instance of cluster.instances)
        await waitUntil(
          async () => (await statusOf(instance, single.accessToken, 'after')) === 200,
          'it serves again',
          backMs,
        )
      await waitUntil(
        async () => (await statusOf(second, held.accessToken, 'after')) === 200,
        'a user whose settlement was lost gets in again',
        backMs,
      )
      const counts = loads.map(({ told }) => told.counts.whole)
      await waitUntil(
        () => loads.every(({ told }, index) => told.counts.whole > (counts[index] ?? 0) + 5),
        'the load goes on',
      )
      // What an administrator says on one still cuts what runs on the other.
      const since = performance.now()
      await cluster.admin(first, 'DELETE', `/admin/users/${watched.id}?disabledReason=left`)
      assert.match(await stream.cutWithin(since), /disabled: left/)
      isOver = true
      await Promise.all(loads.map(({ ended }) => ended))
      // Users who were made within what was lost are not known any more.
      const unexpected = loads.flatMap(({ told }) => told.unexpected)
      assert.deepEqual(
        unexpected.filter((answer) => !/^401 .*not known|"Not found"/.test(answer)),
        [],
      )
      for (const answer of await Promise.all(streams))
        assert.deepEqual([answer.status, answer.isWhole], [200, true])
      // The account is what the upstream served: once, whatever part of it was lost.
      const marks = ['lost', 'held', 'over', 'late']
      const closed = (mark: string) =>
        rows(`select id from entries where model like '%mark=${mark}' and state <> 'open'`)
      for (const mark of marks)
        await waitUntil(async () => (await closed(mark)).length > 0, `${mark} is booked`, 30_000)
      const account = await readAccount(rows, 60_000)
      for (const mark of marks) {
        const [truth] = cluster.upstream.served().filter(({ model }) => model.endsWith(`mark=${mark}`))
        const booked = account.entries.filter(({ model }) => String(model).endsWith(`mark=${mark}`))
        assert.deepEqual(booked.map(usageIn), [truth?.usage], mark)
      }
      assert.ok(Number((await rows('select count(*) as n from entries'))[0]?.n) > before)
      const said = loads.map(({ told }) => JSON.stringify(told.counts)).join(' and ')
      test.diagnostic(`ready ${Math.round(backAfter)} ms after the promotion; clients saw ${said}`)
    }))
})

/** Everything that was written so far has reached the standby. */
async function replicated({ cluster, rows }: World): Promise<void> {
  const [at] = await cluster.database.rows('select pg_current_wal_lsn()::text as lsn')
  await waitUntil(
    async () =>
      (await rows(`select pg_last_wal_replay_lsn() >= '${String(at?.lsn)}' as done`))[0]?.done === true,
    'the standby has it',
  )
}
