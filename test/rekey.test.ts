import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { type Program, runProgram, startProgram } from './support/process.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/** `tollgate rekey` as an operator runs it beside a server. What it changes is in storage/rekey.test.ts. */
const [before, after] = ['0a'.repeat(32), '0b'.repeat(32)]
const adminKey = 'an-admin-key-of-a-test-1'
const usersCount = 3_000

async function stop(program: Program): Promise<void> {
  program.process.kill('SIGTERM')
  assert.equal(await program.exit, 0, program.output())
}

for (const kind of databases) {
  describe(`tollgate rekey on ${kind.name}`, () => {
    it('replaces the master key of a running server, also after kill -9', () =>
      withFolder(async (folder) => {
        const database: TestDatabase = await kind.create()
        const programs: Program[] = []
        const start = async (keys: Record<string, string>) => {
          const program = startProgram([], { ...env, ...keys })
          programs.push(program)
          return { program, port: Number(new URL(await program.listening).port) }
        }
        const env = { DATA_DIR: join(folder, 'data'), ...database.env, PORT: '0', ADMIN_KEY: adminKey }
        const headers = { authorization: `Bearer ${adminKey}` }
        const names = Array.from({ length: usersCount }, (_, index) => `rekeyed ${index}`)
        const usage = async (port: number, accessToken: string) =>
          (await call(port, { method: 'GET', path: '/v1/usage', accessToken })).status
        try {
          const old = await start({ MASTER_KEY: before })
          const users = names.map((name) => ({ token: name }))
          const put = { method: 'PUT', path: '/admin/users', headers, body: { users } }
          assert.equal((await call(old.port, put)).status, 200)
          const made = await call(old.port, { path: '/admin/keys', headers, body: { name: 'kept' } })
          const kept = { authorization: `Bearer ${JSON.parse(made.text).key}` }
          await stop(old.program)

          const keys = { MASTER_KEY: after, MASTER_KEY_PREVIOUS: before }
          const both = await start(keys)
          assert.equal(await usage(both.port, 'rekeyed 7'), 200)
          const killed = startProgram(['rekey'], { ...env, ...keys })
          programs.push(killed)
          const isAnew = async () =>
            Number(
              (
                await database.rows(
                  'select count(distinct substr(token_encrypted, 1, 7)) as count from users',
                )
              )[0]?.count,
            ) > 1
          await waitUntil(async () => (await isAnew()) || killed.process.exitCode !== null, 'it is at work')
          killed.process.kill('SIGKILL')
          await killed.exit
          assert.ok(await isAnew(), 'it died half way')
          for (const index of [0, 1500, 2999]) assert.equal(await usage(both.port, `rekeyed ${index}`), 200)
          if (database.env.DATABASE_URL !== undefined) {
            const alone = await runProgram([], { ...env, MASTER_KEY: after })
            assert.match(alone.output, /between two master keys/)
          }

          const done = await runProgram(['rekey'], { ...env, ...keys })
          assert.equal(done.code, 0, done.output)
          assert.match(done.output, /users +[\d,]+ of [\d,]+\n/)
          assert.match(done.output, /Done: [\d,]+ rows are under the new master key/)
          assert.ok(![before, after].some((key) => done.output.includes(key)))
          for (const index of [0, 1500, 2999]) assert.equal(await usage(both.port, `rekeyed ${index}`), 200)
          const again = await runProgram(['rekey'], { ...env, ...keys })
          assert.match(again.output, /MASTER_KEY_PREVIOUS can be removed/)
          await stop(both.program)

          const fresh = await start({ MASTER_KEY: after })
          for (const index of [0, 1500, 2999]) assert.equal(await usage(fresh.port, `rekeyed ${index}`), 200)
          const list = await call(fresh.port, { method: 'GET', path: '/admin/users', headers: kept })
          assert.equal(JSON.parse(list.text).count, usersCount, 'the admin key opens as before')
          await waitUntil(async () => (await isAnew()) === false, 'nothing is left')
          await stop(fresh.program)
          const same = await runProgram(['rekey'], { ...env, MASTER_KEY: after, MASTER_KEY_PREVIOUS: after })
          assert.deepEqual([same.code, /is the same as the master key/.test(same.output)], [2, true])
          const wrong = await runProgram(['rekey'], { ...env, MASTER_KEY: before })
          assert.deepEqual([wrong.code, /MASTER_KEY is not the one/.test(wrong.output)], [1, true])
        } finally {
          for (const program of programs) program.process.kill('SIGKILL')
          await database.remove()
        }
      }))
  })
}
