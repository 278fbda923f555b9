import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createSortableId } from '#lib/sortable-id.ts'
import type { Store } from '#storage/store.ts'
import { type AdminServer, adminSecret, startAt, withAdminServer } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { waitUntil } from './support/gateway-harness.ts'
import { databases } from './support/stores.ts'

const count = 10_000
const lineOf = (index: number, more = '') => `{"token":"t${index}","nickname":"user ${index}"${more}}\n`

/** An import whose body is written by the test. */
function begin({ port }: AdminServer) {
  const sent = httpRequest({
    ...{ host: '127.0.0.1', port, method: 'POST', path: '/admin/users/import' },
    headers: { 'content-type': 'application/x-ndjson', authorization: `Bearer ${adminSecret}` },
  })
  const answered = (async () => {
    const [response] = await once(sent, 'response')
    let text = ''
    for await (const data of response) text += data
    return { status: response.statusCode, body: JSON.parse(text) }
  })()
  return { sent, answered }
}

async function importAll(server: AdminServer, lines: number) {
  const { sent, answered } = begin(server)
  for (let index = 0; index < lines; index++) if (!sent.write(lineOf(index))) await once(sent, 'drain')
  sent.end()
  return answered
}

async function ask({ metering }: Store): Promise<string> {
  const units = { model: 'gpt-4o', family: 'gpt4', input: 1, output: 1, choices: 1 }
  const requestId = createSortableId('req_', startAt)
  const one = { accessToken: 'here before', requestId, address: '192.0.2.1' }
  const asks = [{ ...one, route: '/v1/chat/completions', isMetered: true, units, isDry: true }]
  return (await metering.runBatch({ now: startAt, settlements: [], asks })).asks[0]?.kind ?? 'nothing'
}

for (const kind of databases) {
  describe(`a large import on ${kind.name}`, () => {
    it('goes on batch by batch, and requests are admitted in between', async () => {
      const sizes: number[] = []
      const wrap = (store: Store): Store => ({
        ...store,
        users: {
          ...store.users,
          importUsers(writes, by) {
            sizes.push(writes.length)
            return store.users.importUsers(writes, by)
          },
        },
      })
      await withAdminServer(
        kind,
        async (server) => {
          await server.store.users.writeUsers(
            [{ ref: { accessToken: 'here before' }, edit: {} }],
            by(startAt),
          )
          let isDone = false
          let admitted = 0
          const asking = (async () => {
            while (!isDone) {
              assert.equal(await ask(server.store), 'admitted')
              admitted += 1
              await wait(1)
            }
          })()
          const { status, body } = await importAll(server, count)
          isDone = true
          await asking
          assert.deepEqual([status, body.created], [200, count], JSON.stringify(body))
          assert.equal(await server.store.users.countUsers({}, startAt), count + 1)
          assert.ok(Math.max(...sizes) <= 50, `batches of ${Math.max(...sizes)}`)
          assert.ok(admitted >= sizes.length / 4, `${admitted} requests beside ${sizes.length} batches`)
          const before = await server.store.changes.lastChange()
          const again = await importAll(server, count)
          assert.equal(again.body.unchanged, count, JSON.stringify(again.body))
          assert.deepEqual(await server.store.changes.lastChange(), before, 'what is unchanged leaves no row')
        },
        { wrap },
      )
    })

    it('takes no more of a body than it can write', async () => {
      const released = Promise.withResolvers<void>()
      const wrap = (store: Store): Store => ({
        ...store,
        users: {
          ...store.users,
          async importUsers(writes, by) {
            await released.promise
            return store.users.importUsers(writes, by)
          },
        },
      })
      await withAdminServer(
        kind,
        async (server) => {
          const { sent, answered } = begin(server)
          const note = `,"adminNote":"${'x'.repeat(2_000)}"`
          const lines = 20_000
          let written = 0
          const writing = (async () => {
            for (; written < lines; written++)
              if (!sent.write(lineOf(written, note))) await once(sent, 'drain')
          })()
          await waitUntil(() => written > 400, 'the import takes lines', 60_000)
          // Until the connection takes nothing any more.
          for (let before = -1; before !== written; ) {
            before = written
            await wait(500)
          }
          assert.ok(written > 400 && written < 10_000, `${written} of ${lines} lines were taken`)
          released.resolve()
          sent.destroy(new Error('the client hangs up'))
          await Promise.allSettled([writing, answered])
        },
        { wrap },
      )
    })

    it('tells of each user once, where two of one file run at the same time', () =>
      withAdminServer(kind, async (server) => {
        const both = await Promise.all([importAll(server, 3_000), importAll(server, 3_000)])
        const sum = (name: string) => both.reduce((all, { body }) => all + body[name], 0)
        assert.deepEqual(
          [sum('created'), sum('unchanged'), sum('changed'), sum('failed')],
          [3_000, 3_000, 0, 0],
          JSON.stringify(both),
        )
      }))
  })
}
