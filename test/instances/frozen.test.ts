import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { readAccount, usageIn } from '../support/account.ts'
import { assertServed, assertTold } from '../support/account-truth.ts'
import { type Cluster, clusterAdminKey, type Instance, openCluster } from '../support/cluster.ts'
import { createRandom, runLoad, tellNothing } from '../support/crash-load.ts'
import { call, openRaw } from '../support/gateway-client.ts'
import { waitUntil } from '../support/gateway-harness.ts'

/**
 * An instance stops at the worst moment, in the middle of a transaction, with the lock of a user in its hands and
 * streams under way, for so long that it is taken for dead, and then goes on: nobody else is kept waiting for it, and
 * whatever happened meanwhile, each of its requests counts once.
 */
const foundOutMs = 25_000
/** Within this others must have their answer, though a lock is held by somebody who will never say a word. */
const patienceMs = 3_900

const path = '/v1/chat/completions'
const bodyOf = (mark: string, units: number, stream = false) => ({
  model: `gpt-4o@mark=${mark}; units=${units}`,
  stream,
  max_tokens: 1000,
  messages: [{ role: 'user', content: 'Hi' }],
})

interface User {
  readonly id: string
  readonly accessToken: string
}

async function newUser({ admin }: Cluster, at: Instance): Promise<User> {
  const { id, token } = await admin(at, 'POST', '/admin/users', {})
  return { id: String(id), accessToken: String(token) }
}

async function ask({ port }: Instance, { accessToken }: User, mark: string) {
  const begin = performance.now()
  const { status, text } = await call(port, { path, accessToken, body: bodyOf(mark, 3) })
  return { status, text, ms: performance.now() - begin }
}

/** Stops an instance while it holds the lock of a user: it waits for it behind the test, and gets it stopped. */
async function freezeInBatch({ database }: Cluster, frozen: Instance, user: User, begin: () => void) {
  const backends = async (which: string) =>
    database.rows(`select pid from pg_stat_activity
      where datname = current_database() and application_name = 'tollgate' and ${which}`)
  const locker = new pg.Client({ connectionString: database.url })
  await locker.connect()
  try {
    await locker.query('begin')
    await locker.query('select id from users where id = $1 for update', [user.id])
    begin()
    await waitUntil(
      async () => (await backends("wait_event_type = 'Lock'")).length > 0,
      'it waits for the user',
    )
    frozen.program.process.kill('SIGSTOP')
    await locker.query('commit')
    await waitUntil(
      async () => (await backends("state = 'idle in transaction'")).length > 0,
      'it holds the user',
    )
  } finally {
    await locker.end()
  }
}

/** What came of asking again and again. */
interface Asking {
  slowestMs: number
  readonly refused: string[]
}

/** Asks one time after the other until it is over. Never rejects: that is a refusal like others. */
async function askOn(
  asking: Asking,
  over: AbortSignal,
  instance: Instance,
  user: User,
  mark: string,
): Promise<void> {
  for (let count = 0; !over.aborted; count++) {
    const { status, text, ms } = await ask(instance, user, `${mark}-${count}`).catch((error: unknown) => ({
      status: 0,
      text: String(error),
      ms: 0,
    }))
    if (status !== 200 && !over.aborted) asking.refused.push(`${status} after ${Math.round(ms)} ms: ${text}`)
    asking.slowestMs = Math.max(asking.slowestMs, ms)
    await wait(50)
  }
}

async function freeze(cluster: Cluster, over: AbortController, log: (line: string) => void): Promise<void> {
  const { database, upstream, instances } = cluster
  const [living, frozen] = instances
  assert.ok(living && frozen)
  const users = await Promise.all(Array.from({ length: 4 }, () => newUser(cluster, living)))
  const [hot, other, reset, left] = users
  assert.ok(hot && other && reset && left)
  for (const instance of [living, frozen])
    for (const user of users)
      assert.equal((await ask(instance, user, `warm-${instance.port}-${user.id}`)).status, 200)
  const kept = openRaw(frozen.port, {
    path,
    accessToken: reset.accessToken,
    body: bodyOf('kept-1', 200, true),
  })
  const hungUp = openRaw(frozen.port, {
    path,
    accessToken: left.accessToken,
    body: bodyOf('left-1', 200, true),
  })
  const running = `select state from entries where model like '%@mark=kept-%' or model like '%@mark=left-%'`
  const states = async () => (await database.rows(running)).map(({ state }) => String(state))
  await waitUntil(() => [kept, hungUp].every(({ received }) => received().split('\n').length > 6), 'both run')

  let late: ReturnType<typeof ask> | undefined
  await freezeInBatch(cluster, frozen, hot, () => {
    late = ask(frozen, hot, 'late-1')
    // Where the test ends before, nobody waits for it.
    late.catch(() => undefined)
  })
  const told = tellNothing()
  const load = runLoad({
    url: `http://127.0.0.1:${living.port}`,
    adminKey: clusterAdminKey,
    told,
    random: createRandom(Math.floor(Math.random() * 2 ** 32)),
    mark: 'load',
    isOver: () => over.signal.aborted,
  })
  const asking: Asking = { slowestMs: 0, refused: [] }
  const asked = Promise.all([
    askOn(asking, over.signal, living, hot, 'hot'),
    askOn(asking, over.signal, living, other, 'other'),
  ])
  assert.deepEqual(await states(), ['open', 'open'])
  await waitUntil(
    async () => asking.refused.length > 0 || (await states()).every((state) => state === 'abandoned'),
    'it was taken for dead',
    foundOutMs,
  )
  assert.deepEqual(asking.refused, [])
  // What it was charged is counted out by an administrator, so that it must not be given back a second time.
  await cluster.admin(living, 'PUT', `/admin/users/${reset.id}`, { tokenCounts: { gpt4: 0 } })
  hungUp.hangUp()

  frozen.program.process.kill('SIGCONT')
  await waitUntil(
    async () => (await states()).every((state) => state === 'settled'),
    'what it had under way was settled',
    15_000,
  )
  const answer = (await late) ?? assert.fail()
  assert.ok([200, 503].includes(answer.status), answer.text)
  await waitUntil(() => kept.received().includes('[DONE]'), 'its stream came to its end')
  kept.hangUp()
  const next = await ask(frozen, reset, 'after-1')
  assert.equal(next.status, 200, next.text)
  over.abort()
  await Promise.all([asked, load])
  const account = await readAccount(database.rows, 10_000)
  assertTold(account, told)
  const marked = (mark: string) => upstream.served().filter(({ model }) => model.includes(`@mark=${mark}-`))
  for (const mark of ['load', 'warm', 'hot', 'other', 'late', 'kept', 'left', 'after'])
    assertServed(account, marked(mark), mark)
  const unitsOf = (mark: string) => {
    const [entry, ...more] = account
      .entriesOf(reset.id)
      .filter(({ model }) => String(model).includes(`@mark=${mark}-`))
    assert.ok(entry && more.length === 0)
    assert.deepEqual(usageIn(entry), marked(mark)[0]?.usage, mark)
    return Number(entry.units)
  }
  const [quota] = await database.rows(
    `select used, reserved from quotas where user_id = '${reset.id}' and family = 'gpt4'`,
  )
  assert.deepEqual(quota, { used: unitsOf('kept') + unitsOf('after'), reserved: 0 }, 'what was used since')
  const { slowestMs, refused } = asking
  assert.deepEqual(refused, [])
  assert.ok(slowestMs < patienceMs, `somebody waited ${Math.round(slowestMs)} ms`)
  for (const { program } of instances) assert.doesNotMatch(program.output(), /ENOENT/)
  log(`${told.counts.whole + told.counts.streamed} requests of the load; ${Math.round(slowestMs)} ms at most`)
  log(`the one it was stopped in got ${answer.status}`)
}

describe('an instance that stops with a lock in its hands', { timeout: 120_000 }, () => {
  it('keeps nobody waiting, and goes on as if it had not been taken for dead', async (test) => {
    const cluster = await openCluster({ instances: 2, upstream: { behaviour: { chunkMs: 10 } } })
    const over = new AbortController()
    try {
      await freeze(cluster, over, (line) => test.diagnostic(line))
    } finally {
      over.abort()
      await cluster.close()
    }
  })
})
