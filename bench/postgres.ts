import pg from 'pg'
import { startDatabaseServer } from '../test/support/database-server.ts'
import { type Round, runRound } from './relay.ts'
import { by } from './support/by.ts'
import { type Instance, pin, startInstance, startServer, unpin } from './support/process.ts'
import { type Figure, median, report } from './support/report.ts'
import { openRowUpdates, type RowUpdates } from './support/row-updates.ts'
import { rateOf, type Side, timeOf } from './support/side.ts'
import { openBenchPostgres, writeBenchUsers } from './support/stores.ts'

/**
 * The speed of the account on PostgreSQL, synced to the disk and with default settings: against plain updates of a row
 * on the same server, with several instances on it, and through the whole gateway against the embedded database. The
 * load shares the machine with the server.
 */
const users = 1000
const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
const seconds = Number(process.env.BENCH_SECONDS ?? 4)
const ms = seconds * 1000
const instancesMax = 4
const quotaLimit = 5_000_000

interface Against {
  readonly updates: number
  readonly pairs: number
}

async function runAgainst(instance: Instance, updates: RowUpdates, rows: number): Promise<Against> {
  return {
    updates: await updates.run(rows, seconds),
    pairs: await instance.run({ kind: 'drive', users: rows, ms }),
  }
}

async function againstUpdates(instance: Instance, updates: RowUpdates): Promise<readonly Figure[]> {
  const many: Against[] = []
  const hot: Against[] = []
  for (const rows of [users, 1]) await runAgainst(instance, updates, rows)
  for (let round = 0; round < rounds; round++) {
    many.push(await runAgainst(instance, updates, users))
    hot.push(await runAgainst(instance, updates, 1))
  }
  const figures = (what: string, found: readonly Against[], atLeast: number): readonly Figure[] => [
    {
      what: `${what}: plain updates (${updates.by})`,
      value: median(found.map((one) => one.updates)),
      unit: '1/s',
    },
    {
      what: `${what}: admissions with settlements`,
      value: median(found.map((one) => one.pairs)),
      unit: 'pairs/s',
    },
    // A pair is two: an admission, and a settlement.
    {
      what: `${what}: admissions and settlements`,
      value: median(found.map((one) => 2 * one.pairs)),
      unit: '1/s',
    },
    {
      what: `${what}: against plain updates`,
      value: median(found.map((one) => (2 * one.pairs) / one.updates)),
      unit: 'x',
      atLeast,
    },
  ]
  return [...figures(`${users} users`, many, 2), ...figures('one hot user', hot, 10)]
}

async function byLanes(instance: Instance): Promise<readonly Figure[]> {
  const counts = [1, 2, 3]
  const found = new Map<number, number[]>(counts.map((lanes) => [lanes, []]))
  for (let round = 0; round < rounds; round++)
    for (const lanes of counts)
      found.get(lanes)?.push(await instance.run({ kind: 'drive', users, ms, lanes }))
  return counts.map((lanes) => ({
    what: `${users} users, ${lanes} at a time: admissions with settlements`,
    value: median(found.get(lanes) ?? []),
    unit: 'pairs/s',
  }))
}

async function byInstances(instances: readonly Instance[]): Promise<readonly Figure[]> {
  const counts = [1, 2, instancesMax]
  const found = new Map<number, number[]>(counts.map((count) => [count, []]))
  for (let round = 0; round < rounds; round++)
    for (const count of counts) {
      const running = instances.slice(0, count)
      const pairs = await Promise.all(running.map((one) => one.run({ kind: 'drive', users, ms })))
      found.get(count)?.push(pairs.reduce((sum, each) => sum + each, 0))
    }
  return counts.map((count) => ({
    what: `${users} users, ${count} instances: admissions with settlements`,
    value: median(found.get(count) ?? []),
    unit: 'pairs/s',
  }))
}

/** Two instances that use the same quota at once are admitted exactly as much as one. */
async function onOneQuota(url: string, instances: readonly Instance[]): Promise<readonly Figure[]> {
  const store = await openBenchPostgres(url)
  const figures: Figure[] = []
  for (const count of [1, 2]) {
    const accessToken = `shared-by-${count}`
    await store.users.writeUsers(
      [{ ref: { accessToken }, edit: { quotaLimits: { turbo: quotaLimit } } }],
      by(Date.now()),
    )
    const running = instances.slice(0, count)
    const admitted = await Promise.all(running.map((one) => one.run({ kind: 'exhaust', accessToken })))
    const units = admitted.reduce((sum, each) => sum + each, 0)
    const user = await store.users.findUser({ accessToken }, Date.now())
    const used = user?.quotas.get('turbo')?.used
    if (used !== units) throw new Error(`${units} units were admitted, and ${used} counted`)
    figures.push({
      what: `${count} instances on one quota: admitted of ${quotaLimit}`,
      value: units / quotaLimit,
      unit: 'x',
      atMost: 1,
    })
  }
  await store.close()
  return figures
}

async function relayed(url: string): Promise<readonly Figure[]> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const args = [`${upstream.url}/small`]
  const env = { BENCH_DATABASE_URL: url, BENCH_MASTER_KEY: '07'.repeat(32) }
  const embedded = await startServer('tollgate', args, { core: 0 })
  const shared = await startServer('tollgate', args, { core: 0, env })
  const pairs: (readonly [Round, Round])[] = []
  for (const server of [embedded, shared]) await runRound(server, users)
  for (let round = 0; round < rounds; round++)
    pairs.push([await runRound(embedded, users), await runRound(shared, users)])
  await Promise.all([embedded.stop(), shared.stop(), upstream.stop()])
  unpin(process.pid)
  const figure = (what: string, pick: (round: Round) => number, unit: string): readonly Figure[] => [
    { what: `relay on SQLite: ${what}`, value: median(pairs.map(([one]) => pick(one))), unit },
    { what: `relay on PostgreSQL: ${what}`, value: median(pairs.map(([, other]) => pick(other))), unit },
  ]
  return [
    ...figure('requests', (round) => round.perSecond, '1/s'),
    ...figure('CPU a request', (round) => round.cpuUs, 'us'),
    ...figure('one at a time, median', (round) => round.singleMs, 'ms'),
    {
      what: 'relay on PostgreSQL against SQLite: requests',
      value: median(pairs.map(([one, other]) => other.perSecond / one.perSecond)),
      unit: 'x',
      atLeast: 0.5,
    },
  ]
}

/** A server of its own, with databases of these names. */
async function startDatabases(names: readonly string[]) {
  const server = await startDatabaseServer({ isSynced: true })
  const client = new pg.Client(server.urlOf('postgres'))
  await client.connect()
  for (const name of names) await client.query(`create database bench_${name}`)
  await client.end()
  const urlOf = (name: string) => server.urlOf(`bench_${name}`)
  return { server, urlOf }
}

async function writeUsersOf(url: string): Promise<void> {
  const store = await openBenchPostgres(url)
  await writeBenchUsers(store, users)
  await store.close()
}

export async function benchPostgres(): Promise<boolean> {
  unpin(process.pid)
  const { server, urlOf } = await startDatabases(['account', 'rows', 'relay'])
  const account = urlOf('account')
  const updates = await openRowUpdates(urlOf('rows'), server.programs, users)
  await writeUsersOf(account)
  const instances: Instance[] = []
  try {
    for (let index = 0; index < instancesMax; index++) instances.push(await startInstance(account))
    const [first] = instances
    if (!first) throw new Error('no instance was started')
    const name = `postgres ${server.version}`
    const met = [
      report(`${name}: 512 askers against plain updates`, await againstUpdates(first, updates)),
      report(`${name}: batches at a time`, await byLanes(first)),
      report(`${name}: instances with 512 askers each`, [
        ...(await onOneQuota(account, instances)),
        ...(await byInstances(instances)),
      ]),
      report(`${name}: small chat completion, 64 at once, one core`, await relayed(urlOf('relay'))),
    ]
    return !met.includes(false)
  } finally {
    await Promise.all(instances.map((instance) => instance.stop()))
    await server.stop()
  }
}

export async function openSide(): Promise<Side> {
  const { server, urlOf } = await startDatabases(['account', 'relay'])
  await writeUsersOf(urlOf('account'))
  const instance = await startInstance(urlOf('account'))
  const upstream = await startServer('upstream', [])
  const env = { BENCH_DATABASE_URL: urlOf('relay'), BENCH_MASTER_KEY: '07'.repeat(32) }
  const tollgate = await startServer('tollgate', [`${upstream.url}/small`], { env })
  const round = async (length: number, relayed: { readonly seconds: number; readonly singles: number }) => {
    const drive = (rows: number) => instance.run({ kind: 'drive', users: rows, ms: length })
    const many = await drive(users)
    const hot = await drive(1)
    const relay = await runRound(tollgate, users, relayed)
    return [
      rateOf(`admissions with settlements, ${users} users`, many, 'pairs/s'),
      rateOf('admissions with settlements, one hot user', hot, 'pairs/s'),
      rateOf('relay: requests', relay.perSecond, 'req/s'),
      timeOf('relay: CPU a request', relay.cpuUs, 'us'),
      timeOf('relay: one at a time, median', relay.singleMs, 'ms'),
    ]
  }
  await round(4000, { seconds: 8, singles: 1000 })
  return {
    round: () => round(700, { seconds: 0.7, singles: 150 }),
    async close() {
      await Promise.all([instance.stop(), tollgate.stop()])
      await Promise.all([upstream.stop(), server.stop()])
    },
  }
}
