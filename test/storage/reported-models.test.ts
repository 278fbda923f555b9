import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noUsage } from '#core/usage.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { otherModel, placesMax, shareMax } from '#storage/ledger/reported-models.ts'
import type { Store } from '#storage/store.ts'
import { type Booking, book, newUserId } from '../support/ledger.ts'
import { databases, type TestDatabase, testPolicy, withStore } from '../support/stores.ts'

const startAt = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000
const tables = ['usage_minutes', 'total_minutes', 'total_hours']

/** Models by the requests that were counted to them; the same in every table. */
async function counted(database: TestDatabase): Promise<Readonly<Record<string, number>>> {
  const perTable = await Promise.all(
    tables.map(async (table) => {
      const rows = await database.rows(
        `select model, sum(requests) as requests from ${table} group by model having sum(requests) <> 0`,
      )
      return Object.fromEntries(rows.map(({ model, requests }) => [String(model), Number(requests)]))
    }),
  )
  const [first = {}, ...others] = perTable
  for (const other of others) assert.deepEqual(other, first)
  return first
}

/** One request for each name, a hundred in a batch. */
async function report(
  store: Store,
  userId: string,
  names: readonly string[],
  more: Partial<UsageEvent> & { readonly at?: number } = {},
): Promise<void> {
  const { at = startAt, ...changes } = more
  const events = names.map((model): UsageEvent => {
    const id = createSortableId('evt_', at)
    const about = { eventId: id, requestId: id, userId, route: '/usage', family: 'claude', model }
    return { ...about, usage: { ...noUsage, input: 1 }, isEstimated: false, status: 200, ...changes }
  })
  for (let from = 0; from < events.length; from += 100) {
    const batch = { now: at, settlements: [], events: events.slice(from, from + 100), asks: [] }
    const answer = await store.metering.runBatch(batch)
    assert.ok(answer.events.every((outcome) => outcome === 'counted'))
  }
}

const invented = (count: number, prefix = 'invented') =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

/** As many users as it takes to fill every place. */
async function fill(store: Store, prefix: string, at = startAt): Promise<void> {
  for (let user = 0; user < placesMax / shareMax + 1; user++)
    await report(store, await newUserId(store, at), invented(shareMax, `${prefix}-${user}`), { at })
}

const shown = (rows: Readonly<Record<string, number>>) =>
  Object.keys(rows).filter((name) => name !== otherModel)

for (const { name, create } of databases) {
  describe(`the names of models in reports on ${name}`, () => {
    it('are bounded however many a user invents, and none of the requests is lost', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, startAt)
        await report(store, userId, invented(2000))
        const rows = await counted(database)
        assert.equal(shown(rows).length, shareMax)
        assert.equal(rows[otherModel], 2000 - shareMax)
        const [row] = await store.usage.readUsage({
          ...{ bucket: 'hour', from: startAt, to: startAt + 1, limit: 10 },
          ...{ groupBy: ['model'], model: otherModel, userId },
        })
        assert.deepEqual([row?.requests, row?.units], [2000 - shareMax, 2000 - shareMax])
        const named = await store.requests.listRequests({ filter: { model: 'invented-1999' }, limit: 9 })
        assert.equal(named.requests.length, 1)
      }))

    it('are bounded for all users together', () =>
      withStore(create, async (store, database) => {
        await fill(store, 'filled')
        assert.equal(shown(await counted(database)).length, placesMax)
      }))

    it('stay while they are used every day, and where the configuration says them', () =>
      withStore(
        create,
        async (store, database) => {
          const userId = await newUserId(store, startAt)
          const about = { userId, family: 'gpt4' } as const
          await book(store, { ...about, at: startAt, model: 'in-use' })
          for (let day = 0; day < 4; day++) {
            const at = startAt + day * dayMs
            await fill(store, `day-${day}`, at)
            await book(store, { ...about, at, model: 'in-use' })
            await book(store, { ...about, at, model: 'configured', status: 404, ending: 'released' })
            await book(store, { ...about, at, model: 'claude', status: 404, ending: 'released' })
            await book(store, { ...about, at, model: 'new-in-vain' })
          }
          const rows = await counted(database)
          assert.deepEqual([rows['in-use'], rows.configured, rows.claude], [5, 4, 4])
          assert.equal(rows['new-in-vain'], undefined)
          // What was not used for a whole day made room.
          assert.ok(shown(rows).some((model) => model.startsWith('day-2-')))
        },
        { policy: { ...testPolicy, modelNames: ['configured'] } },
      ))

    it('of refused requests take no place, those of failed ones a share, from any user', () =>
      withStore(create, async (store, database) => {
        for (const status of [400, 401, 404, 422])
          await report(store, await newUserId(store, startAt), invented(5, `refused-${status}`), { status })
        assert.deepEqual(await counted(database), { [otherModel]: 20 })
        for (const status of [0, 429, 500, 502])
          await report(store, await newUserId(store, startAt), invented(90, `failed-${status}`), { status })
        assert.equal(shown(await counted(database)).length, shareMax)
        await report(store, await newUserId(store, startAt), ['answered'])
        await report(store, await newUserId(store, startAt), ['answered'], { status: 404 })
        assert.equal((await counted(database)).answered, 2)
      }))

    it('are bounded for upstreams as well, which other gateways name as they like', () =>
      withStore(
        create,
        async (store, database) => {
          const upstreamsIn = async (table: string) => {
            const rows = await database.rows(
              `select upstream, sum(requests) as requests from ${table} group by upstream`,
            )
            return new Map(rows.map(({ upstream, requests }) => [String(upstream), Number(requests)]))
          }
          const userId = await newUserId(store, startAt)
          for (const upstream of invented(300))
            await report(store, userId, ['claude-x'], { upstream, status: 404 })
          for (const upstream of ['own', 'invented-0'])
            await report(store, userId, ['claude-x'], { upstream })
          await report(store, userId, ['claude-x'])
          for (const table of tables) {
            const rows = await upstreamsIn(table)
            assert.equal(rows.size, shareMax + 3)
            assert.deepEqual(
              [rows.get(otherModel), rows.get('own'), rows.get('invented-0'), rows.get('')],
              [300 - shareMax, 1, 2, 1],
            )
          }
          const { requests } = await store.requests.listRequests({ filter: {}, limit: 400 })
          assert.equal(new Set(requests.map(({ upstream }) => upstream)).size, 302)
        },
        { policy: { ...testPolicy, upstreamNames: ['own'] } },
      ))

    it('are those that an upstream lists, for as long as it lists them', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, startAt)
        const long = 'x'.repeat(300)
        const refused = () => report(store, userId, ['listed', long, 'unlisted'], { status: 404 })
        store.metering.listModels('first', ['listed', long])
        store.metering.listModels('second', ['another'])
        await refused()
        assert.deepEqual(await counted(database), { listed: 1, [otherModel]: 2 })
        store.metering.listModels('first', [])
        await refused()
        assert.deepEqual(await counted(database), { listed: 1, [otherModel]: 5 })
        store.metering.listModels('first', invented(5000))
        await report(store, userId, invented(5000), { status: 404 })
        assert.equal(shown(await counted(database)).length, 2001)
      }))

    it('of requests of the gateway follow the same rule as those of events', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, startAt)
        const send = (more: Partial<Booking>) => book(store, { userId, at: startAt, ...more })
        await send({ model: 'unknown', status: 404, ending: 'released' })
        for (const model of invented(shareMax)) await send({ model })
        await send({ model: 'too-many' })
        await send({ model: 'x'.repeat(300) })
        const rows = await counted(database)
        assert.equal(shown(rows).length, shareMax)
        assert.equal(rows[otherModel], 3)
        const entries = await database.rows("select model from entries where model = 'too-many'")
        assert.equal(entries.length, 1)
      }))
  })
}
