import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { UsageQuestion } from '#core/usage-question.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type AdminServer, openAdminServer, startAt } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { book, newUserId } from './support/ledger.ts'
import { databases } from './support/stores.ts'

const hourMs = 3_600_000
/** Named by the configuration, so that reports show all of them. */
const manyModels = Array.from({ length: 1203 }, (_, index) => `model-${index}`)
let server: AdminServer
let [ann, ben] = ['', '']
let isAway = false
const asked: UsageQuestion[] = []

async function get(path: string, headers = {}) {
  const answer = await server.send({ method: 'GET', path, headers })
  assert.equal(answer.status, 200, answer.text)
  return answer
}

const report = async (query: string) => JSON.parse((await get(`/admin/usage${query}`)).text)

for (const database of databases) {
  describe(`usage over the admin API on ${database.name}`, () => {
    before(async () => {
      server = await openAdminServer(database, {
        policy: { timeZone: 'Europe/Paris', modelNames: manyModels },
        wrap: (store) => ({
          ...store,
          usage: {
            readUsage(question) {
              asked.push(question)
              return isAway ? Promise.reject(new StoreUnavailable('away')) : store.usage.readUsage(question)
            },
          },
        }),
      })
      const { store } = server
      ann = await newUserId(store, startAt)
      ben = await newUserId(store, startAt, { type: 'temporary', expiresAt: startAt + 1 })
      // 23:30 of 31 December in Paris, and 00:30 of the new year there.
      const [last, first] = [startAt - 1.5 * hourMs, startAt - 0.5 * hourMs]
      const usage = { input: 1, cacheRead: 2, cacheWritten: 3, output: 4, reasoning: 5 }
      await book(store, { userId: ann, at: last, usage, upstream: 'first' })
      await book(store, { userId: ann, at: first, usage, model: '=evil, "x"', isEstimated: true })
      await book(store, { userId: ben, at: first, usage, family: 'gpt4', model: 'gpt-4o', status: 502 })
    })
    after(() => server.close())

    it('adds up by the day of the configured time zone', async () => {
      const sums = { input: 2, cacheRead: 4, cacheWritten: 6, output: 8, reasoning: 10, units: 30 }
      const half = { input: 1, cacheRead: 2, cacheWritten: 3, output: 4, reasoning: 5, units: 15 }
      const [to, from] = [startAt, startAt - 24 * hourMs]
      assert.deepEqual(await report('?bucket=day'), {
        ...{ bucket: 'day', from, to, timeZone: 'Europe/Paris', groupBy: [], truncated: false },
        rows: [
          { at: startAt - 25 * hourMs, requests: 1, estimated: 0, ...half },
          { at: startAt - hourMs, requests: 2, estimated: 1, ...sums },
        ],
      })
    })

    it('takes a date for the whole day there', async () => {
      const { from, to, rows } = await report('?bucket=hour&from=2025-12-31&to=2026-01-01')
      assert.deepEqual([from, to], [startAt - 25 * hourMs, startAt - hourMs])
      assert.deepEqual(
        rows.map(({ at, requests }: { at: number; requests: number }) => [at, requests]),
        [[startAt - 2 * hourMs, 1]],
      )
    })

    it('groups and filters', async () => {
      const names = ['user', 'family', 'model', 'upstream', 'status']
      const groups = async (query: string): Promise<Record<string, unknown>[]> =>
        (await report(query)).rows.map((row: Record<string, unknown>) =>
          Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name))),
        )
      assert.deepEqual(await groups('?groupBy=user,family,upstream,status'), [
        { user: ann, family: 'claude', upstream: 'first', status: 200 },
        ...[
          { user: ann, family: 'claude', upstream: '', status: 200 },
          { user: ben, family: 'gpt4', upstream: '', status: 502 },
        ].toSorted((a, b) => (a.user < b.user ? -1 : 1)),
      ])
      assert.deepEqual(await groups(`?user=${ben}&groupBy=model`), [{ model: 'gpt-4o' }])
      assert.deepEqual(await groups('?upstream=first&groupBy=upstream'), [{ upstream: 'first' }])
      assert.deepEqual(await groups('?status=502&family=gpt4&model=gpt-4o&groupBy=status'), [{ status: 502 }])
      assert.deepEqual(await groups('?status=404'), [])
    })

    it('answers of one user by id and by access token, and of a removed one by id', async () => {
      const ofUser = async (name: string) => JSON.parse((await get(`/admin/users/${name}/usage`)).text)
      const rows = await ofUser(ann)
      assert.equal(rows.rows.length, 2)
      const { accessToken = '' } = (await server.store.users.findUser({ id: ann }, startAt)) ?? {}
      assert.deepEqual(await ofUser(accessToken), rows)
      assert.equal(await server.store.upkeep.purgeUsers(startAt + 2, 9, by(Date.now())), 1)
      assert.equal((await server.send({ method: 'GET', path: `/admin/users/${ben}/usage` })).status, 404)
      assert.equal((await report(`?user=${ben}`)).rows.length, 1)
    })

    it('says when there were more rows, having asked for only one of them', async () => {
      const short = await report('?groupBy=model&limit=2')
      assert.deepEqual([short.rows.length, short.truncated], [2, true])
      assert.equal(asked.at(-1)?.limit, 3)
      const whole = await report('?groupBy=model&limit=3')
      assert.deepEqual([whole.rows.length, whole.truncated], [3, false])
    })

    it('is CSV where that is asked for, in which no model is a formula', async () => {
      for (const [path, headers] of [
        ['/admin/usage?groupBy=model&format=csv', {}],
        ['/admin/usage?groupBy=model', { accept: 'text/csv, */*;q=0.1' }],
      ] as const) {
        const { text, headers: received } = await get(path, headers)
        assert.match(String(received['content-type']), /^text\/csv/)
        assert.equal(received['x-truncated'], 'false')
        const [head, ...lines] = text.split('\r\n')
        assert.match(head ?? '', /^at,time,model,requests,/)
        assert.deepEqual(lines.slice(1), [
          `${startAt - hourMs},2025-12-31T23:00:00.000Z,"'=evil, ""x""",1,1,1,2,3,4,5,15`,
          `${startAt - hourMs},2025-12-31T23:00:00.000Z,gpt-4o,1,0,1,2,3,4,5,15`,
          '',
        ])
      }
      const json = await get('/admin/usage?format=json', { accept: 'text/csv' })
      assert.equal(json.headers['content-type'], 'application/json')
      const head = await server.send({ method: 'HEAD', path: '/admin/usage?format=csv' })
      assert.deepEqual([head.status, head.text], [200, ''])
    })

    it('writes as many rows as there are, in pieces', async () => {
      const many = await newUserId(server.store, startAt)
      const now = startAt
      const units = { family: 'claude', input: 1, output: 1, choices: 1 }
      const asks = manyModels.map((model, index) => ({
        ...{
          requestId: `many-${index}`,
          userId: many,
          address: '192.0.2.1',
          route: '/v1/messages',
          isMetered: true,
        },
        units: { ...units, model },
      }))
      const usage = { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0 }
      const ended = { ending: 'settled', usage, isEstimated: false, status: 200, durationMs: 1 } as const
      // In one batch, as so many transactions would take long on a server.
      await server.store.metering.runBatch({ now, settlements: [], asks })
      const settlements = asks.map(({ requestId }) => ({ ...ended, requestId }))
      await server.store.metering.runBatch({ now, settlements, asks: [] })
      const query = `?user=${many}&from=${startAt}&to=${startAt + 1}&bucket=minute&groupBy=model`
      const { rows } = await report(query)
      assert.equal(new Set(rows.map(({ model }: { model: string }) => model)).size, 1203)
      const { text } = await get(`/admin/usage${query}&format=csv`)
      assert.equal(text.split('\r\n').length, 1205)
    })

    it('is 503 while the store is away', async () => {
      isAway = true
      const answer = await server.send({ method: 'GET', path: '/admin/usage' })
      isAway = false
      assert.equal(answer.status, 503)
      assert.ok(answer.headers['retry-after'])
    })
  })
}
