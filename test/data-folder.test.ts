import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { limitFiles } from './support/file-limit.ts'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, runProgram, startProgram } from './support/process.ts'

/** What the data folder is like at a start, and what is left in it at an end. */
const adminKey = 'a-test-admin-key-1'
const envOf = (folder: string) => ({ DATA_DIR: folder, PORT: '0', ADMIN_KEY: adminKey })

function start(test: TestContext, env: Readonly<Record<string, string>>): Program {
  const program = startProgram([], env)
  test.after(() => program.process.kill('SIGKILL'))
  return program
}

async function startAndStop(test: TestContext, env: Readonly<Record<string, string>>): Promise<string> {
  const program = start(test, env)
  await program.listening
  program.process.kill('SIGTERM')
  assert.equal(await program.exit, 0, program.output())
  return program.output()
}

/** One line that says what is wrong. */
async function assertRefused(
  env: Readonly<Record<string, string>>,
  code: number,
  says: RegExp,
): Promise<void> {
  const refused = await runProgram([], env)
  assert.equal(refused.code, code, refused.output)
  assert.match(refused.output, says)
  assert.equal(refused.output.trim().split('\n').length, 1, refused.output)
}

describe('the master key', { concurrency: true }, () => {
  it('is not made anew where its database is there', (test) =>
    withFolder(async (folder) => {
      await startAndStop(test, envOf(folder))
      renameSync(join(folder, 'master.key'), join(folder, 'elsewhere'))
      const before = readdirSync(folder)
      await assertRefused(
        envOf(folder),
        2,
        /^tollgate: \S+master\.key: does not exist, but \S+tollgate\.db does, .*: put that file back, or set MASTER_KEY$/m,
      )
      assert.deepEqual(readdirSync(folder), before)
      const keyed = await runProgram(['admin-key', 'ann'], envOf(folder))
      assert.equal(keyed.code, 2)
      assert.deepEqual(readdirSync(folder), before)
      renameSync(join(folder, 'elsewhere'), join(folder, 'master.key'))
      await startAndStop(test, envOf(folder))
    }))

  it('is not made where MASTER_KEY_FILE names a file that is not there', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'secret')
      await assertRefused(
        { ...envOf(folder), MASTER_KEY_FILE: path },
        2,
        /MASTER_KEY_FILE: cannot read \S+secret \(ENOENT\)/,
      )
      assert.deepEqual(readdirSync(folder), [])
    }))

  it('is used and warned of where others may read its file', (test) =>
    withFolder(async (folder) => {
      const data = join(folder, 'data')
      assert.doesNotMatch(await startAndStop(test, envOf(data)), /chmod/)
      chmodSync(join(data, 'master.key'), 0o640)
      assert.match(
        await startAndStop(test, envOf(data)),
        /master\.key has mode 640: .*Run chmod 600 \S+master\.key/,
      )
      const path = join(folder, 'secret')
      writeFileSync(path, '07'.repeat(32), { mode: 0o644 })
      const env = { ...envOf(join(folder, 'other')), MASTER_KEY_FILE: path }
      assert.match(await startAndStop(test, env), /secret has mode 644: .*Run chmod 600 \S+secret/)
    }))
})

describe('a start on a folder that cannot be used', { concurrency: true }, () => {
  it('names it and says what to do, in one line', () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, 'file'), '')
      await assertRefused(
        envOf(join(folder, 'file')),
        1,
        /^tollgate: \S+file is no folder: name another one$/m,
      )
      mkdirSync(join(folder, 'damaged'))
      writeFileSync(join(folder, 'damaged', 'tollgate.db'), 'no database at all, '.repeat(1000))
      const env = { ...envOf(join(folder, 'damaged')), MASTER_KEY: '07'.repeat(32) }
      await assertRefused(env, 1, /^tollgate: \S+damaged is no database$/m)
    }))

  it('says that the disk takes nothing more, and leaves no half of a key', (test) =>
    withFolder(async (folder) => {
      const program = start(test, envOf(join(folder, 'data')))
      limitFiles(program, 0)
      assert.equal(await program.exit, 1)
      assert.match(program.output(), /^tollgate: the disk of \S+data failed \(disk I\/O error\): look/m)
      assert.deepEqual(readdirSync(join(folder, 'data')), [])
      await startAndStop(test, envOf(join(folder, 'data')))
      assert.ok(statSync(join(folder, 'data', 'master.key')).size > 64)
    }))
})

describe('SIGHUP', { concurrency: true }, () => {
  it('lets a running stream finish and has it booked, however often it comes', (test) =>
    withFolder(async (folder) => {
      const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 20 } })
      test.after(upstream.close)
      const more = { OPENAI_BASE_URL: `${upstream.url}/v1`, OPENAI_API_KEY: 'x' }
      const program = start(test, { ...envOf(folder), ...more })
      const port = Number(new URL(await program.listening).port)
      const headers = { authorization: `Bearer ${adminKey}` }
      const made = await call(port, { path: '/admin/users', headers, body: {} })
      const accessToken = String(JSON.parse(made.text).token)
      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${accessToken}` },
        body: JSON.stringify({
          model: 'gpt-4o-mini@units=40',
          stream: true,
          messages: [{ role: 'user', content: 'a story' }],
        }),
      })
      const reader = answer.body?.getReader() ?? assert.fail()
      await reader.read()
      program.process.kill('SIGHUP')
      let text = ''
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += Buffer.from(part.value).toString()
        // A closed terminal's comes from the system and from the shell.
        program.process.kill('SIGHUP')
      }
      assert.match(text, /\[DONE\]/)
      assert.equal(await program.exit, 0)
      const db = new DatabaseSync(join(folder, 'tollgate.db'), { readOnly: true })
      assert.deepEqual(
        db
          .prepare('select state, count(*) as n from entries group by state')
          .all()
          .map((row) => ({ ...row })),
        [{ state: 'settled', n: 1 }],
      )
      db.close()
    }))

  it('stops what npm has started where npm alone gets it', (test) =>
    withFolder(async (folder) => {
      const npm = spawn('npm', ['start'], {
        cwd: join(import.meta.dirname, '..'),
        env: { ...process.env, ...envOf(folder) },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      test.after(() => npm.kill('SIGKILL'))
      let output = ''
      npm.stdout.on('data', (data: Buffer) => {
        output += data.toString()
      })
      await waitUntil(() => /listening on \S+[\s\S]*"msg":"listening"/.test(output), 'it listens', 30_000)
      npm.kill('SIGHUP')
      await waitUntil(() => output.includes('"msg":"stopped"'), 'it has stopped', 30_000)
    }))
})
