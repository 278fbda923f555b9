import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withFolder } from '../support/folder.ts'
import { runProgram, startProgram } from '../support/process.ts'
import { databases } from '../support/stores.ts'

const adminKey = 'an-admin-key-of-tests-1'

async function post(url: string, key: string, body: object = {}) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: answer.status, json: JSON.parse(await answer.text()) }
}

for (const kind of databases) {
  describe(`the program on ${kind.name}`, () => {
    it('serves the verifier beside the gateway, and a reservation outlives it', () =>
      withFolder(async (folder) => {
        const database = await kind.create()
        try {
          const env = { DATA_DIR: join(folder, 'data'), ...database.env, PORT: '0', ADMIN_KEY: adminKey }
          const made = await runProgram(['admin-key', 'nginx', '--scope', 'verifier'], env)
          const key = /^tgv-\w+$/m.exec(made.output)?.[0] ?? assert.fail(made.output)

          const first = startProgram([], env)
          const url = await first.listening
          const { token } = (await post(`${url}/admin/users`, adminKey)).json
          assert.equal((await post(`${url}/auth/check`, key, { token })).json.valid, true)
          assert.equal((await post(`${url}/auth/check`, adminKey, { token })).json.code, 'forbidden')
          assert.equal((await post(`${url}/admin/users`, key)).status >= 400, true, 'nor is it an admin key')
          const asked = await fetch(`${url}/auth/verify`, {
            headers: { 'x-tollgate-key': key, authorization: `Bearer ${token}` },
          })
          assert.match(asked.headers.get('x-tollgate-user') ?? '', /^usr_/)
          const wanted = { token, model: 'gpt-4o', inputUnits: 5, outputUnits: 5 }
          const reserved = await post(`${url}/usage/reservations`, key, wanted)
          assert.equal(reserved.status, 201)
          first.process.kill('SIGKILL')
          await first.exit

          const second = startProgram([], { ...env, ADMIN_PORT: '0' })
          const again = await second.listening
          const settled = await post(`${again}/usage/reservations/${reserved.json.id}/settle`, key, {
            units: 7,
          })
          assert.deepEqual([settled.status, settled.json.outcome], [200, 'closed'], 'no process owned it')
          const mine = await fetch(`${again}/v1/usage`, { headers: { authorization: `Bearer ${token}` } })
          const { families } = (await mine.json()) as { families: { family: string; used: number }[] }
          assert.equal(families.find(({ family }) => family === 'gpt4')?.used, 7)
          const adminUrl =
            /Admin API and its pages:\s+(\S+)\/docs/.exec(second.output())?.[1] ?? assert.fail()
          assert.notEqual(adminUrl, again)
          assert.notEqual(
            (await post(`${adminUrl}/auth/check`, key, { token })).status,
            200,
            'not on that listener',
          )
          second.process.kill('SIGTERM')
          assert.equal(await second.exit, 0)
        } finally {
          await database.remove()
        }
      }))
  })
}
