import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withFolder } from '../support/folder.ts'
import { freePort } from '../support/free-port.ts'
import { runProgram, startProgram } from '../support/process.ts'
import { createPostgres } from '../support/stores.ts'

const masterKey = '07'.repeat(32)

describe('starting on PostgreSQL', () => {
  it('says where the account is, and what is to be kept', () =>
    withFolder(async (folder) => {
      const database = await createPostgres()
      const env = { DATABASE_URL: database.url, MASTER_KEY: masterKey, DATA_DIR: folder, PORT: '0' }
      const { host, pathname, password } = new URL(database.url)
      const first = startProgram([], env)
      await first.listening
      assert.ok(
        first.output().includes(`Database:                 ${pathname.slice(1)} at ${host}`),
        first.output(),
      )
      assert.match(first.output(), /Admin key: tga-[\s\S]*MASTER_KEY: without it/)
      const second = startProgram([], env)
      await second.listening
      assert.doesNotMatch(second.output(), /Admin key:/)
      for (const { process, exit, output } of [first, second]) {
        process.kill('SIGTERM')
        assert.equal(await exit, 0, output())
        assert.ok(!output().includes(password))
      }
      const other = await runProgram([], { ...env, MASTER_KEY: '08'.repeat(32) })
      assert.deepEqual([other.code, other.output.split('\n').length], [1, 2], other.output)
      assert.match(other.output, /MASTER_KEY is not the one/)
      await database.remove()
    }))

  it('says in one line why the database cannot be opened, and never its password', () =>
    withFolder(async (folder) => {
      const database = await createPostgres()
      const wrong = (change: (url: URL) => void) => {
        const url = new URL(database.url)
        change(url)
        return url.href
      }
      const port = String(await freePort())
      const cases: readonly (readonly [string, RegExp])[] = [
        [wrong((url) => (url.password = 'sesame')), /DATABASE_URL: .*authentication failed/],
        [wrong((url) => (url.port = port)), /DATABASE_URL: .*ECONNREFUSED/],
        [wrong((url) => (url.pathname = '/nothing')), /DATABASE_URL: .*"nothing" does not exist/],
        [wrong((url) => (url.search = '?sslmode=verify-full')), /DATABASE_URL: .*SSL/],
      ]
      for (const [url, says] of cases) {
        const env = { DATABASE_URL: url, MASTER_KEY: masterKey, DATA_DIR: folder, PORT: '0' }
        const { code, output } = await runProgram([], env)
        assert.equal(code, 1)
        assert.match(output, says)
        assert.equal(output.trim().split('\n').length, 1, output)
        assert.ok(!output.includes(new URL(url).password), output)
      }
      await database.remove()
    }))
})
