import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openStore } from '#storage/open.ts'
import { armKill, type CommitKill, commitKillEnv } from './support/commit-kill.ts'
import { withFolder } from './support/folder.ts'
import { type Call, call } from './support/gateway-client.ts'
import { type Program, startProgram } from './support/process.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/**
 * Rotation, bulk actions and the replacement of the master key, killed at each kind of moment and gone on with: before
 * anything is durable, between two batches, after the last one and before its answer. The process is the program itself,
 * and what it left is read in the tables before the next one starts.
 */
const adminKey = 'an-admin-key-of-a-test-1'
const authorization = { authorization: `Bearer ${adminKey}` }
const usersCount = 450
const hourMs = 3_600_000

type Kill = Pick<CommitKill, 'when' | 'commit'>
const before = (commit: number): Kill => ({ when: 'before', commit })
const after = (commit: number): Kill => ({ when: 'after', commit })

interface World {
  readonly database: TestDatabase
  readonly figure: (query: string) => Promise<number>
  /** Sends a request to a process that is killed at that moment. */
  readonly killed: (kill: Kill, request: Call) => Promise<void>
  /** Sends it to one that lives on. */
  readonly send: (request: Call) => Promise<Readonly<Record<string, unknown>>>
  readonly stop: () => Promise<void>
}

async function withWorld(database: TestDatabase, folder: string, use: (world: World) => Promise<void>) {
  const armed = join(folder, 'armed')
  const env = {
    ...{ DATA_DIR: join(folder, 'data'), ...database.env, PORT: '0', ADMIN_KEY: adminKey },
    ...{ LOG_LEVEL: 'error', NODE_COMPILE_CACHE: join(folder, 'compiled') },
  }
  let program: Program | undefined
  async function start(): Promise<number> {
    rmSync(armed, { force: true })
    program = startProgram([], { ...env, ...commitKillEnv(armed) })
    return Number(new URL(await program.listening).port)
  }
  async function stop(): Promise<void> {
    program?.process.kill('SIGTERM')
    await program?.exit
    program = undefined
  }
  const sent = (port: number, request: Call) =>
    call(port, { ...request, headers: { ...authorization, ...request.headers } })
  let livePort: number | undefined
  try {
    await use({
      database,
      figure: async (query) => Number((await database.rows(`select ${query} as figure`))[0]?.figure),
      async killed(kill, request) {
        const port = livePort ?? (await start())
        livePort = undefined
        armKill(armed, { ...kill, touching: 'bulk_runs|old_tokens|purged_users' })
        await sent(port, request).catch(() => undefined)
        await program?.exit
        assert.equal(program?.process.signalCode, 'SIGKILL', `it died ${kill.when} ${kill.commit}`)
      },
      async send(request) {
        livePort ??= await start()
        const { status, text } = await sent(livePort, request)
        assert.equal(status, 200, text)
        return JSON.parse(text)
      },
      async stop() {
        await stop()
        livePort = undefined
      },
    })
  } finally {
    program?.process.kill('SIGKILL')
    await program?.exit
  }
}

async function makeUsers({ send }: World, prefix: string, more = {}): Promise<readonly string[]> {
  const tokens = Array.from({ length: usersCount }, (_, index) => `${prefix}-${index}`)
  const users = tokens.map((token) => ({ token, tags: [prefix], ...more }))
  await send({ method: 'PUT', path: '/admin/users', body: { users } })
  return tokens
}

/** How far the newest run has come. */
async function newestRun({ database }: World) {
  const [row] = await database.rows(
    'select id, state, changed, undone from bulk_runs order by id desc limit 1',
  )
  return (
    row && {
      id: String(row.id),
      state: String(row.state),
      changed: Number(row.changed),
      undone: Number(row.undone),
    }
  )
}

/** Kills each call at its moment, and checks after each. Answers the id of the run. */
async function walk(
  world: World,
  body: object,
  kills: readonly (readonly [kill: Kill, changed: number | undefined])[],
  check: (changed: number) => Promise<void>,
): Promise<string> {
  const known = await newestRun(world)
  const ours = async () => {
    const run = await newestRun(world)
    return run?.id === known?.id ? undefined : run
  }
  const next = async (): Promise<Call> => {
    const run = await ours()
    return run ? { path: `/admin/bulk/${run.id}/continue`, body: {} } : { path: '/admin/users/bulk', body }
  }
  for (const [kill, changed] of kills) {
    await world.killed(kill, await next())
    const run = await ours()
    assert.equal(run?.changed, changed, `${kill.when} ${kill.commit}: ${JSON.stringify(run)}`)
    await check(run?.changed ?? 0)
  }
  const done = await world.send(await next())
  assert.deepEqual([done.state, done.changed, done.failed], ['done', usersCount, 0])
  await check(usersCount)
  return String(done.id)
}

for (const kind of databases)
  describe(`the administrator's long work on ${kind.name}, killed at every step`, {
    concurrency: true,
    timeout: 600_000,
  }, () => {
    it('replaces each access token once, loses none, and keeps the old ones for the grace', async () => {
      const database = await kind.create()
      try {
        await withFolder((folder) => withWorld(database, folder, (world) => rotate(world)))
      } finally {
        await database.remove()
      }
    })

    it('replaces the master key, and every token works all the while', async () => {
      const database = await kind.create()
      try {
        await withFolder((folder) => rekey(database, folder))
      } finally {
        await database.remove()
      }
    })

    it('changes, takes back and purges each user once, and counts what happened', async () => {
      const database = await kind.create()
      try {
        await withFolder((folder) =>
          withWorld(database, folder, async (world) => {
            await add(world)
            await purge(world)
          }),
        )
      } finally {
        await database.remove()
      }
    })
  })

async function rotate(world: World): Promise<void> {
  const { figure } = world
  const old = await makeUsers(world, 'turned')
  const previousUntil = Date.now() + hourMs
  const body = { action: { kind: 'rotate', previousUntil }, filter: { tag: 'turned' } }
  const rotations = "from changes where kind = 'user.token_rotated'"
  const kills = [
    [before(1), undefined],
    [after(1), 0],
    [before(2), 200],
    [after(2), usersCount],
  ] as const
  const id = await walk(world, body, kills, async (changed) => {
    assert.equal(await figure(`(select count(*) ${rotations})`), changed)
    assert.equal(await figure(`(select count(distinct object) ${rotations})`), changed)
    assert.equal(await figure('(select count(*) from old_tokens)'), changed)
    assert.equal(await figure('(select sum(revision) from users)'), usersCount + changed)
  })
  const listed = await world.send({ method: 'GET', path: `/admin/users?run=${id}&limit=500` })
  const users = listed.users as readonly { readonly id: string; readonly token: string }[]
  assert.equal(new Set(users.map(({ token }) => token)).size, usersCount)
  // One more, alone, whose answers are lost before and after it is written.
  const [one] = users
  assert.ok(one)
  const again: Call = {
    ...{ path: `/admin/users/${one.id}/rotate`, body: { previousUntil } },
    headers: { 'idempotency-key': 'once' },
  }
  await world.killed(before(1), again)
  assert.equal(await figure('(select sum(revision) from users)'), 2 * usersCount)
  await world.killed(after(1), again)
  const last = await world.send(again)
  assert.notEqual(last.token, one.token)
  assert.equal(await figure('(select sum(revision) from users)'), 2 * usersCount + 1, 'it was rotated once')
  await world.stop()
  await checkGrace(world, {
    old,
    present: users.map(({ token }) => (token === one.token ? String(last.token) : token)),
    one: one.token,
    previousUntil,
  })
}

interface Tokens {
  readonly old: readonly string[]
  readonly present: readonly string[]
  /** The token that was the present one before the last rotation. */
  readonly one: string
  readonly previousUntil: number
}

/** In the grace both work, and then only the present one. */
async function checkGrace({ database }: World, { old, present, one, previousUntil }: Tokens): Promise<void> {
  const store = await openStore(database.settings())
  try {
    const accepted = async (accessToken: string, now: number) => {
      const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
      const ask = { accessToken, requestId: 'req_x', address: '192.0.2.1', route: '/v1/messages' }
      const asks = [{ ...ask, isMetered: true, units, isDry: true }]
      return (await store.metering.runBatch({ now, settlements: [], asks })).asks[0]?.kind === 'admitted'
    }
    const states = await store.users.findTokenStates([...old, one, ...present])
    const countOf = (kind: string) => states.filter((state) => state.kind === kind).length
    // Of the user who was rotated twice the newer of the two old ones is accepted.
    assert.deepEqual([countOf('present'), countOf('old'), countOf('unknown')], [usersCount, usersCount, 1])
    assert.ok(states.every((state) => state.kind !== 'old' || state.until === previousUntil))
    for (const token of [one, ...some(old)]) {
      const isGone = states[[...old, one].indexOf(token)]?.kind === 'unknown'
      assert.equal(await accepted(token, previousUntil - 1), !isGone)
      assert.equal(await accepted(token, previousUntil), false)
    }
    for (const token of some(present)) {
      assert.equal(await accepted(token, previousUntil - 1), true)
      assert.equal(await accepted(token, previousUntil), true)
    }
  } finally {
    await store.close()
  }
}

/** Some from each batch. */
const some = (tokens: readonly string[]) => tokens.filter((_, index) => index % 40 === 0)

async function add(world: World): Promise<void> {
  const { figure } = world
  await makeUsers(world, 'added', { tokenLimits: { claude: 10 } })
  const body = { action: { kind: 'addToLimits', tokenLimits: { claude: 5 } }, filter: { tag: 'added' } }
  const at = (limit: number) => figure(`(select count(*) from quotas where quota_limit = ${limit})`)
  const check = async (changed: number) =>
    assert.deepEqual([await at(15), await at(10)], [changed, usersCount - changed])
  const kills = [
    [before(2), 0],
    [before(2), 200],
  ] as const
  const id = await walk(world, body, kills, check)
  const undo: Call = { path: `/admin/bulk/${id}/undo`, body: {} }
  await world.killed(before(2), undo)
  assert.equal((await newestRun(world))?.undone, 200)
  await check(usersCount - 200)
  const back = await world.send(undo)
  assert.deepEqual([back.state, back.undone, back.kept], ['undone', usersCount, 0])
  await check(0)
}

async function purge(world: World): Promise<void> {
  const { figure } = world
  const body = { action: { kind: 'purge' }, filter: { tag: 'added' }, confirm: usersCount }
  const purges = "from changes where kind = 'user.purged'"
  const kills = [
    [after(2), 200],
    // The users are gone, and what is said of them is being removed.
    [before(20), usersCount],
  ] as const
  await walk(world, body, kills, async (changed) => {
    assert.equal(await figure('(select count(*) from purged_users)'), changed)
    assert.equal(await figure('(select count(*) from users)'), usersCount - changed)
    assert.equal(await figure(`(select count(*) ${purges})`), changed)
    assert.equal(await figure(`(select count(distinct object) ${purges})`), changed)
  })
  await world.stop()
}

async function rekey(database: TestDatabase, folder: string): Promise<void> {
  const armed = join(folder, 'armed')
  const newKey = '0b'.repeat(32)
  const env = {
    ...{ DATA_DIR: join(folder, 'data'), ...database.env, PORT: '0', ADMIN_KEY: adminKey },
    ...{ LOG_LEVEL: 'error', NODE_COMPILE_CACHE: join(folder, 'compiled') },
  }
  const both = { ...env, MASTER_KEY: newKey, MASTER_KEY_PREVIOUS: database.env.MASTER_KEY ?? assert.fail() }
  const programs: Program[] = []
  const run = (args: readonly string[], more: Readonly<Record<string, string>>) => {
    const program = startProgram(args, more)
    programs.push(program)
    return program
  }
  const portOf = async (program: Program) => Number(new URL(await program.listening).port)
  const tokens = Array.from({ length: usersCount }, (_, index) => `rekeyed-${index}`)
  const checkAll = async (port: number) => {
    for (const accessToken of some(tokens))
      assert.equal((await call(port, { method: 'GET', path: '/v1/usage', accessToken })).status, 200)
  }
  try {
    const first = run([], env)
    const users = tokens.map((token) => ({ token }))
    const put = { method: 'PUT', path: '/admin/users', headers: authorization, body: { users } }
    assert.equal((await call(await portOf(first), put)).status, 200)
    first.process.kill('SIGTERM')
    await first.exit
    const server = run([], both)
    const port = await portOf(server)
    let kills = 0
    for (let commit = 1; ; commit++) {
      const kill = { ...(commit % 2 === 1 ? before(commit) : after(commit)), touching: '.' }
      armKill(armed, kill)
      const program = run(['rekey'], { ...both, ...commitKillEnv(armed) })
      const code = await program.exit
      await checkAll(port)
      if (code === 0) break
      assert.equal(program.process.signalCode, 'SIGKILL', program.output())
      kills++
    }
    assert.ok(kills >= 3, `it was killed ${kills} times only`)
    server.process.kill('SIGTERM')
    await server.exit
    await checkAll(await portOf(run([], { ...env, MASTER_KEY: newKey })))
  } finally {
    for (const program of programs) program.process.kill('SIGKILL')
    await Promise.all(programs.map(({ exit }) => exit))
  }
}
