import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { limitFiles } from './support/file-limit.ts'
import { fillFolder } from './support/filled-folder.ts'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, runProgram, startProgram } from './support/process.ts'

/** `tollgate backup` and `tollgate restore` as an operator runs them. */
const adminKey = 'a-test-admin-key-1'
const headers = { authorization: `Bearer ${adminKey}` }

/** Starts the program, which is killed when the test ends in whatever way. */
function start(test: TestContext, env: Readonly<Record<string, string>>): Program {
  const program = startProgram([], { PORT: '0', ADMIN_KEY: adminKey, LOG_LEVEL: 'error', ...env })
  test.after(() => program.process.kill('SIGKILL'))
  return program
}

async function stop(program: Program): Promise<void> {
  program.process.kill('SIGTERM')
  assert.equal(await program.exit, 0, program.output())
}

const portOf = async (program: Program) => Number(new URL(await program.listening).port)

async function createUser(port: number, body: object = {}): Promise<string> {
  const made = await call(port, { path: '/admin/users', headers, body })
  assert.equal(made.status, 200, made.text)
  return String(JSON.parse(made.text).token)
}

async function usersOf(port: number): Promise<readonly Record<string, unknown>[]> {
  return JSON.parse((await call(port, { method: 'GET', path: '/admin/users', headers })).text).users
}

function readerOf(path: string) {
  return {
    rows: async (query: string) => {
      const db = new DatabaseSync(path, { readOnly: true })
      try {
        return db.prepare(query).all()
      } finally {
        db.close()
      }
    },
  }
}

/** Each row is a user of whom the quota and the ledger are not of the same moment. */
const wrongQuotas = `
  with sums as (select user_id, sum(iif(state = 'open', hold, 0)) as held, sum(iif(state = 'open', 0, units)) as closed
    from entries where family = 'turbo' group by user_id)
  select user_id, used, closed, reserved, held from quotas join sums using (user_id)
  where family = 'turbo' and (used <> closed or reserved <> held)`

interface Load {
  readonly answered: (requests: number) => Promise<void>
  readonly end: () => Promise<{ readonly statuses: ReadonlyMap<number, number>; readonly slowestMs: number }>
}

/** Below the 511 connections that may wait at a listener: beyond them some are reset where the machine is very busy. */
const openMax = 400

/** So many requests a second, whether those before were answered or not, as long as no more than `openMax` wait. */
function startLoad(port: number, accessTokens: readonly string[], perSecond: number): Load {
  const statuses = new Map<number, number>()
  let slowestMs = 0
  let isOver = false
  const count = () => [...statuses.values()].reduce((sum, each) => sum + each, 0)
  async function ask(accessToken: string): Promise<void> {
    const begunAt = performance.now()
    const { status } = await call(port, {
      path: '/v1/chat/completions',
      accessToken,
      body: { model: 'gpt-4o-mini', max_tokens: 5, messages: [{ role: 'user', content: 'hello' }] },
    })
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    slowestMs = Math.max(slowestMs, performance.now() - begunAt)
  }
  async function run(): Promise<void> {
    const asked: Promise<void>[] = []
    const begunAt = performance.now()
    while (!isOver) {
      const due = ((performance.now() - begunAt) / 1000) * perSecond
      while (asked.length < Math.min(due, count() + openMax))
        asked.push(ask(accessTokens[asked.length % accessTokens.length] ?? ''))
      await wait(2)
    }
    await Promise.allSettled(asked)
  }
  const running = run()
  return {
    answered: (requests) => waitUntil(() => count() >= requests, `${requests} were answered`, 20_000),
    async end() {
      isOver = true
      await running
      return { statuses, slowestMs }
    },
  }
}

describe('tollgate backup', () => {
  it('copies 100 MB beside 300 requests a second, as of one moment', (test) =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      const { env, accessTokens } = await fillFolder(data, 500_000)
      assert.ok(
        statSync(join(data, 'tollgate.db')).size > 90e6,
        String(statSync(join(data, 'tollgate.db')).size),
      )
      const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 1 } })
      test.after(upstream.close)
      const more = { OPENAI_BASE_URL: `${upstream.url}/v1`, OPENAI_API_KEY: 'x' }
      const program = start(test, { ...env, ...more })
      const port = await portOf(program)
      const load = startLoad(port, accessTokens, 300)
      test.after(load.end)
      await load.answered(100)
      const backup = join(folder, 'backup.db')
      const begunAt = performance.now()
      const { code, output } = await runProgram(['backup', backup], { DATA_DIR: data })
      const ms = performance.now() - begunAt
      const { statuses, slowestMs } = await load.end()
      assert.equal(code, 0, output)
      // One to three seconds on a machine with nothing else to do; what begins anew with every write never ends.
      assert.ok(ms < 20_000, `it took ${ms} ms`)
      assert.deepEqual([...statuses.keys()], [200])
      test.diagnostic(
        `${Math.round(ms)} ms; ${statuses.get(200)} requests, the slowest ${Math.round(slowestMs)} ms`,
      )
      assert.equal(statSync(backup).mode & 0o777, 0o600)
      assert.match(output, /The master key is not in it\. Keep a copy of the MASTER_KEY/)
      assert.deepEqual(await readerOf(backup).rows(wrongQuotas), [], 'what is used is the sum of the ledger')
      const [counted] = await readerOf(backup).rows(
        "select count(*) as n from entries where family = 'turbo'",
      )
      const { n } = counted ?? {}
      assert.ok(Number(n) >= 100 && Number(n) < (statuses.get(200) ?? 0), `${n} of ${statuses.get(200)}`)
      await stop(program)
      assert.deepEqual(readdirSync(folder).sort(), ['backup.db', 'data'])
    }))

  it('works while the server is stopped, and replaces a file only where that is said', () =>
    withFolder(async (folder) => {
      const { env } = await fillFolder(join(folder, 'data'), 10)
      const file = join(folder, 'backup.db')
      writeFileSync(file, 'something else')
      const refused = await runProgram(['backup', file], env)
      assert.equal(refused.code, 1)
      assert.match(
        refused.output,
        /^tollgate: .*backup\.db exists already: name another file, or add --force$/m,
      )
      assert.equal(readFileSync(file, 'utf8'), 'something else')
      // A log that an older file left there would be taken for the new one's.
      writeFileSync(`${file}-wal`, 'of an older one')
      const replaced = await runProgram(['backup', file, '--force'], env)
      assert.equal(replaced.code, 0, replaced.output)
      assert.deepEqual(readdirSync(folder).sort(), ['backup.db', 'data'])
      assert.deepEqual(await readerOf(file).rows('pragma journal_mode'), [
        { __proto__: null, journal_mode: 'delete' },
      ])
      assert.equal((await readerOf(file).rows('select 1 from users')).length, 200)
    }))

  const wrong: readonly {
    readonly name: string
    readonly args: (folder: string) => readonly string[]
    readonly env?: Readonly<Record<string, string>>
    readonly code: number
    readonly says: RegExp
  }[] = [
    { name: 'no file', args: () => ['backup'], code: 2, says: /name the file to make/ },
    {
      name: 'a folder that is not there',
      args: (folder) => ['backup', join(folder, 'none', 'a.db')],
      code: 1,
      says: /there is no \S+none: make it first/,
    },
    {
      name: 'a folder as the file',
      args: (folder) => ['backup', folder],
      code: 1,
      says: /is a folder: name a file/,
    },
    {
      name: 'the database itself',
      args: (folder) => ['backup', join(folder, 'data', 'tollgate.db'), '--force'],
      code: 1,
      says: /is the database itself/,
    },
    ...['tollgate.db-wal', 'tollgate.db-shm', 'tollgate.db-journal', 'tollgate.db.lock', 'master.key'].map(
      (name) => ({
        name: `${name} beside the database`,
        args: (folder: string) => ['backup', join(folder, 'data', '..', 'data', name), '--force'],
        code: 1,
        says: /is a file that the server itself uses: name another file/,
      }),
    ),
    { name: 'a name of no letters', args: () => ['backup', ''], code: 2, says: /name the file to make/ },
    {
      name: 'a folder without a database',
      args: (folder) => ['backup', join(folder, 'a.db')],
      env: { DATA_DIR: '/nonexistent' },
      code: 1,
      says: /there is no database at \/nonexistent\/tollgate\.db: set DATA_DIR/,
    },
    {
      name: 'a database on a server',
      args: (folder) => ['backup', join(folder, 'a.db')],
      env: { DATABASE_URL: 'postgres://ann:sesame@127.0.0.1/tollgate' },
      code: 2,
      says: /^(?!.*sesame).*DATABASE_URL: is set; .*pg_dump/s,
    },
    {
      name: 'a file in a folder that has none',
      args: () => ['backup', '/proc/a.db'],
      code: 1,
      says: /there is no \/proc: make it first|\/proc may not be used/,
    },
  ]
  it('says in one line what is wrong, and leaves nothing behind', () =>
    withFolder(async (folder) => {
      const { env: filled } = await fillFolder(join(folder, 'data'), 10)
      const results = wrong.map(async ({ name, args, env, code, says }) => {
        const result = await runProgram(args(folder), { ...filled, ...env })
        assert.equal(result.code, code, `${name}: ${result.output}`)
        assert.match(result.output, says, name)
        assert.equal(result.output.trim().split('\n').length, 1, result.output)
      })
      await Promise.all(results)
      assert.deepEqual(readdirSync(folder), ['data'])
    }))

  it('removes what an earlier one left that was killed, and leaves alone what is being written', () =>
    withFolder(async (folder) => {
      const { env } = await fillFolder(join(folder, 'data'), 10)
      const file = join(folder, 'backup.db')
      const dead = `${file}.0123abcd.part`
      for (const path of [dead, `${dead}-journal`, `${file}.4567cdef.part`]) writeFileSync(path, 'a part')
      const hoursAgo = Date.now() / 1000 - 2 * 3600
      utimesSync(dead, hoursAgo, hoursAgo)
      const made = await runProgram(['backup', file], env)
      assert.equal(made.code, 0, made.output)
      assert.deepEqual(readdirSync(folder).sort(), ['backup.db', 'backup.db.4567cdef.part', 'data'])
      writeFileSync(join(folder, 'data', 'tollgate.db.0123abcd.part'), 'of a restore that was killed')
      const restored = await runProgram(['restore', file], env)
      assert.equal(restored.code, 0, restored.output)
      assert.deepEqual(
        readdirSync(join(folder, 'data')).filter((name) => name.includes('.part')),
        [],
      )
    }))

  it('says that the disk is full, and leaves nothing behind', () =>
    withFolder(async (folder) => {
      const { env } = await fillFolder(join(folder, 'data'), 10_000)
      const full = startProgram(['backup', join(folder, 'a.db')], env)
      // Stands for a full disk, without the rights that making one needs.
      limitFiles(full, 1_000_000)
      assert.equal(await full.exit, 1, full.output())
      assert.match(full.output(), /^tollgate: the disk of \S+ failed/m)
      assert.deepEqual(readdirSync(folder), ['data'])
    }))
})

describe('tollgate restore', () => {
  it('puts everything back as it was, keeps what was there, and says what comes next', (test) =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      const backup = join(folder, 'backup.db')
      const first = start(test, { DATA_DIR: data })
      const port = await portOf(first)
      const accessToken = await createUser(port, { tokenLimits: { turbo: 500 } })
      const before = await usersOf(port)
      assert.equal((await runProgram(['backup', backup], { DATA_DIR: data })).code, 0)
      const after = await createUser(port)
      await call(port, { method: 'DELETE', path: `/admin/users/${accessToken}`, headers })
      const running = await runProgram(['restore', backup], { DATA_DIR: data })
      assert.equal(running.code, 1)
      assert.match(running.output, /^tollgate: another Tollgate process is already using the folder/)
      // What was not checkpointed when it was killed belongs to the old database alone.
      first.process.kill('SIGKILL')
      await first.exit
      assert.ok(existsSync(join(data, 'tollgate.db-wal')))
      const journal = `${JSON.stringify({ requestId: 'req_of_later' })}\n`
      writeFileSync(join(data, 'settlements-ins_1.journal'), journal)

      const { code, output } = await runProgram(['restore', backup], { DATA_DIR: data })
      assert.equal(code, 0, output)
      assert.match(output, /is now a copy of .*backup\.db: \S+ MB, checked, last used at 20\d\d-/)
      assert.match(output, /settlements-ins_1\.journal went there too: .*would be booked into this one/s)
      assert.match(output, /Start the server now.*disabled since are enabled again/s)
      const aside = readdirSync(data).filter((name) => name.startsWith('before-restore-'))
      assert.deepEqual(
        readdirSync(data)
          .filter((name) => !aside.includes(name) && !name.endsWith('-journal'))
          .sort(),
        ['master.key', 'tollgate.db', 'tollgate.db.lock'],
      )
      assert.equal(statSync(join(data, 'tollgate.db')).mode & 0o777, 0o600)
      const old = join(data, aside[0] ?? '')
      assert.deepEqual(readdirSync(old).sort(), ['settlements-ins_1.journal', 'tollgate.db'])
      assert.equal((await readerOf(join(old, 'tollgate.db')).rows('select 1 from users')).length, 2)

      const second = start(test, { DATA_DIR: data })
      const newPort = await portOf(second)
      assert.deepEqual(await usersOf(newPort), before)
      assert.equal(
        (await call(newPort, { path: '/v1/usage', method: 'GET', accessToken: after })).status,
        401,
      )
      await stop(second)
    }))

  it('goes into an empty folder with the master key, and not without', () =>
    withFolder(async (folder) => {
      const { env } = await fillFolder(join(folder, 'data'), 10)
      const backup = join(folder, 'backup.db')
      assert.equal((await runProgram(['backup', backup], env)).code, 0)
      const there = join(folder, 'new')
      const refused = await runProgram(['restore', backup], { DATA_DIR: there })
      assert.equal(refused.code, 2)
      assert.match(refused.output, /new\/master\.key: does not exist: put the master key of the backup there/)
      assert.equal(existsSync(there), false)
      const other = await runProgram(['restore', backup], { DATA_DIR: there, MASTER_KEY: '08'.repeat(32) })
      assert.equal(other.code, 1)
      assert.match(other.output, /was made with another master key/)
      assert.equal(existsSync(there), false)
      const restored = await runProgram(['restore', backup], { ...env, DATA_DIR: there })
      assert.equal(restored.code, 0, restored.output)
      assert.doesNotMatch(restored.output, /The database that was there before/)
      assert.deepEqual(readdirSync(there).sort(), ['tollgate.db', 'tollgate.db.lock'])
    }))

  it('takes the place of a database that is damaged, which is kept as it is', () =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      const { env } = await fillFolder(data, 10)
      const backup = join(folder, 'backup.db')
      assert.equal((await runProgram(['backup', backup], env)).code, 0)
      writeFileSync(join(data, 'tollgate.db'), 'no database at all, '.repeat(1000))
      writeFileSync(join(data, 'tollgate.db-wal'), 'and its log')
      const { code, output } = await runProgram(['restore', backup], env)
      assert.equal(code, 0, output)
      const [aside = ''] = readdirSync(data).filter((name) => name.startsWith('before-restore-'))
      assert.deepEqual(readdirSync(join(data, aside)).sort(), ['tollgate.db', 'tollgate.db-wal'])
      assert.equal((await readerOf(join(data, 'tollgate.db')).rows('select 1 from users')).length, 200)
    }))

  it('refuses what is no backup, and leaves everything as it was', () =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      const { env } = await fillFolder(data, 2_000)
      const of = (name: string) => join(folder, name)
      for (const name of ['newer.db', 'moved.db', 'damaged.db'])
        assert.equal((await runProgram(['backup', of(name)], env)).code, 0)
      writeFileSync(of('text.db'), 'no database at all, '.repeat(1000))
      new DatabaseSync(of('other.db')).exec('create table users (id)')
      new DatabaseSync(of('newer.db')).exec("insert into migrations values (999, 'of the future', 0)")
      new DatabaseSync(of('moved.db')).exec("insert into facts values ('moved', 'db.example.com/tollgate')")
      const bytes = readFileSync(of('damaged.db'))
      bytes.fill(0x41, bytes.length - 40_000, bytes.length - 20_000)
      writeFileSync(of('damaged.db'), bytes)
      writeFileSync(of('half.db'), readFileSync(of('moved.db')).subarray(0, 60_000))
      const before = readdirSync(data)
      const content = readFileSync(join(data, 'tollgate.db'))
      for (const [name, says] of [
        ['none.db', /there is no file \S+none\.db: name a file that tollgate backup has made$/m],
        ['.', /is a folder: name a file in it$/m],
        [join('data', 'tollgate.db'), /is the database itself: name a file/],
        ['text.db', /text\.db is no database: name another backup$/m],
        ['half.db', /half\.db is damaged: name another backup$/m],
        ['other.db', /other\.db is not a Tollgate database/],
        ['newer.db', /has schema 999, this version knows \d+: restore it with the newer version/],
        ['moved.db', /was moved to db\.example\.com/],
        ['damaged.db', /damaged/],
      ] as const) {
        const { code, output } = await runProgram(['restore', of(name)], env)
        assert.equal(code, 1, `${name}: ${output}`)
        assert.match(output, says)
        assert.deepEqual(readdirSync(data), before, name)
      }
      assert.ok(content.equals(readFileSync(join(data, 'tollgate.db'))), 'the database is what it was')
      const url = 'postgres://ann:sesame@127.0.0.1/tollgate'
      const shared = await runProgram(['restore', of('moved.db')], { ...env, DATABASE_URL: url })
      assert.equal(shared.code, 2)
      assert.match(shared.output, /^(?!.*sesame).*pg_restore/s)
    }))

  it('waits for no other process that has the database open, and says so', (test) =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      const { env } = await fillFolder(data, 10)
      const backup = join(folder, 'backup.db')
      assert.equal((await runProgram(['backup', backup], env)).code, 0)
      const reader = new DatabaseSync(join(data, 'tollgate.db'))
      test.after(() => reader.close())
      reader.exec('begin')
      reader.prepare('select count(*) from users').get()
      const { code, output } = await runProgram(['restore', backup], env)
      assert.equal(code, 1, output)
      assert.match(output, /another process has locked the database in \S+: stop it/)
      assert.deepEqual(
        readdirSync(data).filter((name) => name.startsWith('before')),
        [],
      )
    }))
})
