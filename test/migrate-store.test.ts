import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, runProgram, startProgram } from './support/process.ts'
import { createPostgres } from './support/stores.ts'

/** `tollgate migrate-store` as an operator runs it. What it moves, and what it refuses, is in storage/move.test.ts. */
type Postgres = Awaited<ReturnType<typeof createPostgres>>

type Start = typeof startProgram

function withPostgres(
  run: (folder: string, postgres: Postgres, start: Start) => Promise<void>,
): Promise<void> {
  return withFolder(async (folder) => {
    const postgres = await createPostgres()
    const programs: Program[] = []
    const start: Start = (...args) => {
      const program = startProgram(...args)
      programs.push(program)
      return program
    }
    try {
      await run(folder, postgres, start)
    } finally {
      // What a failed test has left running would never end.
      for (const program of programs) program.process.kill('SIGKILL')
      await postgres.remove()
    }
  })
}

async function stop(program: Program): Promise<void> {
  program.process.kill('SIGTERM')
  assert.equal(await program.exit, 0, program.output())
}

async function portOf(program: Program): Promise<number> {
  return Number(new URL(await program.listening).port)
}

const rows = 200_000

/** A database that the program has made, with a table that takes seconds to move. */
async function makeLarge(folder: string): Promise<void> {
  const program = startProgram([], { DATA_DIR: folder, PORT: '0' })
  await program.listening
  await stop(program)
  const db = new DatabaseSync(join(folder, 'tollgate.db'))
  db.exec(`insert into total_minutes (minute_at, family, model, upstream, status, shard, requests, estimated,
      input, cache_read, cache_written, output, reasoning)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${rows})
    select i * 60000, 'turbo', 'gpt-4o-mini', 'main', 200, 0, 1, 0, i % 7, 0, 0, i % 11, 0 from n`)
  db.close()
}

describe('tollgate migrate-store', () => {
  it('moves users, keys and usage, says what comes next, and that works', () =>
    withPostgres(async (folder, { url }, start) => {
      const here = { DATA_DIR: join(folder, 'data'), PORT: '0' }
      const there = { DATABASE_URL: url, PORT: '0', DATA_DIR: join(folder, 'new') }
      const before = start([], here)
      const port = await portOf(before)
      const adminKey = /Admin key: (\S+)/.exec(before.output())?.[1] ?? assert.fail(before.output())
      const headers = { authorization: `Bearer ${adminKey}` }
      const made = await call(port, { path: '/admin/users', headers, body: { tokenLimits: { turbo: 500 } } })
      const accessToken = String(JSON.parse(made.text).token)
      const busy = await runProgram(['migrate-store'], { ...here, DATABASE_URL: url })
      assert.equal(busy.code, 1)
      assert.match(busy.output, /another Tollgate process is already using the folder/)
      await stop(before)
      writeFileSync(join(here.DATA_DIR, 'settlements-ins_1.journal'), '')

      const moved = await runProgram(['migrate-store', '--from', here.DATA_DIR], { DATABASE_URL: url })
      assert.equal(moved.code, 0, moved.output)
      assert.match(moved.output, /Moving \d+ rows from .*tollgate\.db to 127\.0\.0\.1:\d+\/tollgate_test/)
      assert.match(moved.output, /users +1 of 1/)
      assert.match(moved.output, /users +compared: 1 rows/)
      assert.match(moved.output, /Everything is there: \d+ rows of \d+ tables/)
      assert.match(moved.output, /needs DATA_DIR=.*data: the journal/)
      assert.ok(!moved.output.includes(new URL(url).password))
      const keyFile = /MASTER_KEY_FILE=(\S+),/.exec(moved.output)?.[1] ?? assert.fail(moved.output)

      const after = start([], { ...there, MASTER_KEY_FILE: keyFile })
      const newPort = await portOf(after)
      assert.ok(!after.output().includes('Admin key:'), 'there is one already')
      const usage = await call(newPort, { method: 'GET', path: '/v1/usage', accessToken })
      assert.equal(usage.status, 200)
      assert.match(usage.text, /"limit":500/)
      const listed = await call(newPort, { method: 'GET', path: '/admin/users', headers })
      assert.equal(JSON.parse(listed.text).count, 1)
      await stop(after)

      const stale = await runProgram([], here)
      assert.equal(stale.code, 1)
      assert.match(stale.output, /was moved to 127\.0\.0\.1:\d+\/.*set DATABASE_URL.*migrate-store --undo/)
      const undone = await runProgram(['migrate-store', '--undo'], here)
      assert.deepEqual([undone.code, /can be used again/.test(undone.output)], [0, true], undone.output)
      const again = start([], here)
      assert.equal(
        (await call(await portOf(again), { method: 'GET', path: '/v1/usage', accessToken })).status,
        200,
      )
      await stop(again)
    }))

  it('goes on after kill -9 and after Ctrl-C, and no instance starts on half of it', () =>
    withPostgres(async (folder, postgres, start) => {
      await makeLarge(folder)
      const env = { DATA_DIR: folder, DATABASE_URL: postgres.url }
      const arrived = async () =>
        Number((await postgres.rows('select count(*) as count from total_minutes'))[0]?.count)
      const isOnItsWay = async () => {
        const tables = await postgres.rows("select 1 from pg_tables where tablename = 'total_minutes'")
        return tables.length > 0 && (await arrived()) > 0
      }
      const killed = start(['migrate-store'], env)
      await waitUntil(isOnItsWay, 'some have arrived', 20_000)
      killed.process.kill('SIGKILL')
      await killed.exit
      const some = await arrived()
      assert.ok(some > 0 && some < rows, `${some} had arrived`)

      const early = await runProgram([], { ...env, MASTER_KEY_FILE: join(folder, 'master.key'), PORT: '0' })
      assert.equal(early.code, 1)
      assert.match(early.output, /DATABASE_URL: not all of the users have arrived/)

      const stopped = start(['migrate-store'], env)
      await waitUntil(async () => (await arrived()) > some, 'more have arrived', 20_000)
      stopped.process.kill('SIGINT')
      assert.equal(await stopped.exit, 130, stopped.output())
      assert.match(stopped.output(), /of them have arrived already[\s\S]*Run the same command again/)
      const more = await arrived()
      assert.ok(more < rows, `${more} had arrived`)

      const done = await runProgram(['migrate-store'], env)
      assert.equal(done.code, 0, done.output)
      assert.match(done.output, /total_minutes +200,000 of 200,000 .*\/s/)
      assert.equal(await arrived(), rows)
    }))

  it('says what is wrong with how it was called, and does nothing', () =>
    withFolder(async (folder) => {
      const secret = 'a-secret-word'
      const url = `postgres://me:${secret}@127.0.0.1:1/none`
      const cases = [
        [[], {}, 2, /DATABASE_URL: or --to must name the target/],
        [['--to', `mysql://me:${secret}@host/db`], {}, 2, /--to: must be postgres:/],
        [[], { DATABASE_URL: secret }, 2, /DATABASE_URL: must be postgres:/],
        [['--undo', '--to', url], {}, 2, /--undo takes no --to/],
        [['more'], { DATABASE_URL: url }, 2, /"more" is not expected here/],
        [
          ['--from', join(folder, 'none')],
          { DATABASE_URL: url },
          1,
          /there is no database at .*none\/tollgate\.db/,
        ],
        [['--undo'], {}, 1, /there is no database at/],
        [['--demo'], { DATABASE_URL: url }, 2, /--demo goes with start only/],
      ] as const
      for (const [args, env, code, said] of cases) {
        const ended = await runProgram(['migrate-store', ...args], { ...env, DATA_DIR: folder }, folder)
        assert.equal(ended.code, code, ended.output)
        assert.match(ended.output, said)
        assert.equal(ended.output.trim().split('\n').length, 1, ended.output)
        assert.ok(!ended.output.includes(secret))
      }
      const stray = await runProgram(['start', '--from', folder], {})
      assert.deepEqual([stray.code, /--from goes with migrate-store only/.test(stray.output)], [2, true])
    }))
})
