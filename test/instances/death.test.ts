import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readAccount, usageIn } from '../support/account.ts'
import { assertServed, assertTold } from '../support/account-truth.ts'
import { type Cluster, clusterAdminKey, type Instance, openCluster } from '../support/cluster.ts'
import { createRandom, hasEveryKind, runLoad, type Told, tellNothing } from '../support/crash-load.ts'
import { openEndlessStream, streamProtocols } from '../support/endless-stream.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/**
 * An instance dies, or is silent for so long that the others must take it for dead. Its heartbeat counts for 15
 * seconds, and the others look every 5: this takes its time.
 */
const foundOutMs = 25_000
/** What takes a moment, and on a busy machine much longer. */
const wentOnMs = 45_000

interface Load {
  readonly told: Told
  readonly mark: string
  readonly end: () => Promise<void>
}

function startLoad(instance: Instance, mark: string, told: Told, others: readonly Told[]): Load {
  let isOver = false
  const load = runLoad({
    url: `http://127.0.0.1:${instance.port}`,
    adminKey: clusterAdminKey,
    told,
    random: createRandom(Math.floor(Math.random() * 2 ** 32)),
    mark,
    isOver: () => isOver,
    others,
  })
  return {
    told,
    mark,
    end: () => {
      isOver = true
      return load
    },
  }
}

const idsOf = (rows: readonly Readonly<Record<string, unknown>>[]) =>
  rows.map(({ id }) => `'${String(id)}'`).join()

async function killOne(cluster: Cluster, log: (line: string) => void): Promise<void> {
  const { database, upstream, instances } = cluster
  const [first] = instances
  assert.ok(first)
  const told = ['a', 'b', 'c'].map(tellNothing)
  const loads = instances.map((instance, index) => {
    const own = told[index] ?? assert.fail()
    const mark = 'abc'[index] ?? assert.fail()
    return startLoad(
      instance,
      mark,
      own,
      told.filter((each) => each !== own),
    )
  })
  await waitUntil(() => told.every(hasEveryKind), 'there is load of every kind on each', 20_000)
  const [dying, ...living] = loads
  first.program.process.kill('SIGKILL')
  const killedAt = performance.now()
  await dying?.end()
  await first.program.exit
  const left = await database.rows("select id from entries where state = 'open' and model like '%@mark=a-%'")
  assert.ok(left.length > 0, 'it died in the middle of something')
  const remaining = `select id from entries where state = 'open' and id in (${idsOf(left)})`
  await waitUntil(
    async () => (await database.rows(remaining)).length === 0,
    'what it left open was closed',
    foundOutMs,
  )
  const tookMs = performance.now() - killedAt
  for (const entry of await database.rows(`select * from entries where id in (${idsOf(left)})`)) {
    const { state, is_estimated, units, input_estimate } = entry
    assert.deepEqual([state, is_estimated, units], ['abandoned', 1, input_estimate], JSON.stringify(entry))
  }
  const fresh = startLoad(await cluster.start(), 'd', tellNothing(), [])
  await waitUntil(() => hasEveryKind(fresh.told), 'there is load of every kind on the fresh one', 20_000)
  const all = [...loads, fresh]
  await Promise.all([...living, fresh].map((load) => load.end()))
  const account = await readAccount(database.rows)
  let exact = 0
  for (const load of all) {
    const served = upstream.served().filter(({ model }) => model.includes(`@mark=${load.mark}-`))
    exact += assertServed(account, served, load.mark)
    assertTold(account, load.told)
  }
  assert.ok(exact > 0)
  const slowestMs = Math.max(...living.map((load) => load.told.slowestMs))
  assert.ok(slowestMs < 5000, `somebody waited ${Math.round(slowestMs)} ms`)
  log(`${left.length} entries of the dead one were charged and freed after ${(tookMs / 1000).toFixed(1)} s;`)
  log(
    `the others answered ${living.map(({ told: { counts } }) => counts.whole + counts.streamed).join(' and ')}`,
  )
  log(`requests meanwhile, each within ${Math.round(slowestMs)} ms`)
}

async function freezeOne(cluster: Cluster, log: (line: string) => void): Promise<void> {
  const { database, upstream } = cluster
  const [living, frozen] = cluster.instances
  assert.ok(living && frozen)
  const { token, id } = await cluster.admin(living, 'POST', '/admin/users', {
    tokenLimits: { gpt4: 1e6, claude: 1e6 },
  })
  const streams = streamProtocols.map((protocol) => openEndlessStream(frozen.port, protocol, String(token)))
  await Promise.all(streams.map((stream) => stream.runs()))
  frozen.program.process.kill('SIGSTOP')
  const states = async () =>
    (await database.rows(`select state from entries where user_id = '${String(id)}'`)).map(
      ({ state }) => state,
    )
  assert.deepEqual(await states(), ['open', 'open'])
  await waitUntil(
    async () => (await states()).every((state) => state === 'abandoned'),
    'it was taken for dead',
    foundOutMs,
  )
  const charged = await readAccount(database.rows)
  frozen.program.process.kill('SIGCONT')
  await waitUntil(
    () => streams.every((stream) => stream.hasEnded()),
    'the streams went on to their end',
    wentOnMs,
  )
  for (const stream of streams) assert.match(stream.text(), /\[DONE\]|message_stop/)
  await waitUntil(
    async () => (await states()).every((state) => state === 'settled'),
    'they were settled',
    wentOnMs,
  )
  const account = await readAccount(database.rows)
  const served = new Map(upstream.served().map(({ model, usage }) => [model, usage]))
  const entries = account.entriesOf(String(id))
  assert.equal(entries.length, 2)
  for (const entry of entries) {
    assert.deepEqual(usageIn(entry), served.get(String(entry.model)))
    assert.equal(entry.is_estimated, 0)
  }
  const units = (of: typeof account) => of.entriesOf(String(id)).map((entry) => Number(entry.units))
  log(
    `charged ${units(charged).join(' and ')} while it was silent, ${units(account).join(' and ')} in the end`,
  )
}

describe('an instance among others', { concurrency: true, timeout: 120_000 }, () => {
  it('is killed: what it left is charged and freed by the others, who never stop', async (test) => {
    const cluster = await openCluster({ instances: 3, upstream: { behaviour: { chunkMs: 8 } } })
    try {
      await killOne(cluster, (line) => test.diagnostic(line))
    } finally {
      await cluster.close()
    }
  })

  it('is frozen: what it settles afterwards takes the place of what was charged for it', async (test) => {
    const cluster = await openCluster({ instances: 2, upstream: { behaviour: { chunkMs: 7 } } })
    try {
      await freezeOne(cluster, (line) => test.diagnostic(line))
    } finally {
      await cluster.close()
    }
  })
})
