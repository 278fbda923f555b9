import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { openHeartbeat } from '#metering/heartbeat.ts'
import { openStore } from '#storage/open.ts'
import { startCut } from './support/cut.ts'
import { limitFiles } from './support/file-limit.ts'
import { withFolder } from './support/folder.ts'
import { type Answer, call } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, startProgram } from './support/process.ts'
import { createPostgres, databases } from './support/stores.ts'

/**
 * `/readyz` is 200 where a request could be admitted now, and nowhere else: it ends with the fault's beginning and comes
 * back with its end, without a request that would have found out.
 */
const adminKey = 'a-test-admin-key-1'
/** A beat, and what it waits for. Twice, since the machines of tests are busy. */
const toldWithinMs = 15_000

interface Body {
  readonly status: string
  readonly error?: string
  readonly heartbeat: string
  readonly admissions: string
}

const bodyOf = ({ text }: Answer): Body => JSON.parse(text)
const askReady = (port: number) => call(port, { method: 'GET', path: '/readyz' })

async function portOf(test: TestContext, program: Program): Promise<number> {
  test.after(() => program.process.kill('SIGKILL'))
  return Number(new URL(await program.listening).port)
}

async function assertReady(port: number): Promise<void> {
  await waitUntil(async () => (await askReady(port)).status === 200, 'it is ready', toldWithinMs)
  const expected = { status: 'ready', heartbeat: 'ok', admissions: 'ok' }
  assert.partialDeepStrictEqual(bodyOf(await askReady(port)), expected)
}

async function assertAway(port: number, why: RegExp): Promise<void> {
  let answer = await askReady(port)
  const isToldWhy = async () => {
    answer = await askReady(port)
    return answer.status === 503 && why.test(bodyOf(answer).error ?? '')
  }
  await waitUntil(isToldWhy, `it is away: ${why}`, toldWithinMs).catch((cause: unknown) => {
    throw new Error(answer.text, { cause })
  })
  const { status, heartbeat, admissions } = bodyOf(answer)
  assert.equal(status, 'unavailable')
  assert.ok(heartbeat !== 'ok' || admissions !== 'ok')
  assert.doesNotMatch(answer.text, /sesame|tmp|127\.0\.0\.1/, 'no path, address or secret')
}

describe('/readyz on the embedded database', {
  concurrency: true,
  skip: !databases.some(({ name }) => name === 'SQLite'),
}, () => {
  it('is 503 while another process has locked the database', (test) =>
    withFolder(async (folder) => {
      const program = startProgram([], {
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_KEY: adminKey,
        LOG_LEVEL: 'error',
      })
      const port = await portOf(test, program)
      await assertReady(port)
      const other = new DatabaseSync(join(folder, 'tollgate.db'))
      other.exec('begin immediate')
      await assertAway(port, /another process has locked the database/)
      other.exec('commit')
      other.close()
      await assertReady(port)
      assert.ok(
        program.output().includes(`the store failed: another process has locked the database in ${folder}`),
      )
    }))

  it('is 503 while the disk takes nothing more', (test) =>
    withFolder(async (folder) => {
      const program = startProgram([], {
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_KEY: adminKey,
        LOG_LEVEL: 'error',
      })
      const port = await portOf(test, program)
      await assertReady(port)
      limitFiles(program, 4_096)
      await assertAway(port, /the disk failed/)
      limitFiles(program, 'unlimited')
      await assertReady(port)
      assert.ok(
        program.output().includes(`the store failed: the disk of ${folder} failed (disk I/O error): look`),
      )
    }))

  it('is 503 where Node.js may not write, and says what to start it with', (test) =>
    withFolder(async (folder) => {
      const env = { DATA_DIR: folder, PORT: '0', ADMIN_KEY: adminKey, LOG_LEVEL: 'error' }
      const first = startProgram([], env)
      await portOf(test, first)
      first.process.kill('SIGTERM')
      assert.equal(await first.exit, 0)
      const options = '--permission --allow-fs-read=* --allow-worker --allow-net --no-warnings'
      const program = startProgram([], { ...env, NODE_OPTIONS: options })
      const started = await program.listening.then(
        (url) => Number(new URL(url).port),
        () => undefined,
      )
      test.after(() => program.process.kill('SIGKILL'))
      if (started === undefined) assert.match(program.output(), /--allow-fs-write/)
      else await assertAway(started, /Node\.js was not allowed to write/)
    }))
})

describe('/readyz on PostgreSQL', {
  concurrency: true,
  skip: !databases.some(({ name }) => name === 'PostgreSQL'),
}, () => {
  it('is 503 while the server cannot be reached, and while it only reads', (test) =>
    withFolder(async (folder) => {
      const postgres = await createPostgres()
      test.after(postgres.remove)
      const cut = await startCut(Number(new URL(postgres.url).port))
      test.after(cut.close)
      const url = new URL(postgres.url)
      url.port = String(cut.port)
      const program = startProgram([], {
        ...postgres.env,
        DATABASE_URL: url.href,
        DATA_DIR: folder,
        PORT: '0',
        ADMIN_KEY: adminKey,
        LOG_LEVEL: 'error',
      })
      const port = await portOf(test, program)
      await assertReady(port)
      await cut.cut('reset')
      await assertAway(port, /the database/)
      await cut.heal()
      await assertReady(port)
      await postgres.change(`alter database ${url.pathname.slice(1)} set default_transaction_read_only = on`)
      // Those who are connected keep what they have.
      await cut.cut('reset')
      await cut.heal()
      await assertAway(port, /the database server only reads/)
    }))
})

for (const { name, create } of databases)
  describe(`a heartbeat on ${name}`, () => {
    it('says what is wrong with the write, and with what admissions are written by', async () => {
      const database = await create()
      const store = await openStore(database.settings())
      let isAway = true
      const check = async () => {
        if (isAway) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
        return store.check()
      }
      const heartbeat = openHeartbeat({ ...store.metering, check }, { clock: Date.now, everyMs: 20 })
      await heartbeat.look()
      assert.deepEqual(heartbeat.parts(), { heartbeat: 'ok', admissions: 'the disk is full' })
      isAway = false
      await waitUntil(() => heartbeat.parts().admissions === 'ok', 'it is well again')
      await heartbeat.close()
      await store.close()
      await database.remove()
    })
  })
