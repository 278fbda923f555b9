import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pg from 'pg'
import { createSortableId, sortableIdFrom } from '#lib/sortable-id.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { book, close, newUserId, open } from '../support/ledger.ts'
import { createPostgres, databases, type TestDatabase, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const usage = { input: 1, cacheRead: 0, cacheWritten: 0, output: 1, reasoning: 0 }

async function idsOf(store: Store, userId: string): Promise<readonly string[]> {
  const { requests } = await store.requests.listRequests({ filter: { userId }, limit: 500 })
  return requests.map(({ id }) => id)
}

async function gatheredOf({ rows }: TestDatabase, userId: string): Promise<readonly string[]> {
  const found = await rows(`select id from user_requests where user_id = '${userId}' order by id desc`)
  return found.map(({ id }) => String(id))
}

async function belowOf({ rows }: TestDatabase): Promise<string> {
  const [row] = await rows("select value from facts where name = 'user_requests_below'")
  return String(row?.value)
}

/** Gone when the test is over, also where it fails: what stays open would keep the run from ending. */
async function withDatabase<Database extends TestDatabase>(
  create: () => Promise<Database>,
  run: (database: Database) => Promise<void>,
): Promise<void> {
  const database = await create()
  try {
    await run(database)
  } finally {
    await database.remove()
  }
}

async function whileOpen(
  database: TestDatabase,
  instance: string,
  run: (store: Store) => Promise<void>,
): Promise<void> {
  const store = await openStore(database.settings({ instance }))
  try {
    await run(store)
  } finally {
    await store.close()
  }
}

const newestFirst = (ids: readonly string[]) => ids.toSorted((a, b) => (a.slice(4) < b.slice(4) ? 1 : -1))

/** Books one request of some user at each of so many instants; answers the ids by user. */
async function bookMany(store: Store, userIds: readonly string[], count: number) {
  const byUser = new Map<string, string[]>(userIds.map((id) => [id, []]))
  for (let number = 0; number < count; number++) {
    const userId = userIds[number % userIds.length] ?? ''
    byUser.get(userId)?.unshift(await book(store, { userId, at: now + number }))
  }
  return byUser
}

for (const { name, create } of databases) {
  describe(`requests by user on ${name}`, () => {
    it('are gathered once each, up to an instant, and the place of it only moves forward', () =>
      withStore(create, async (store, database) => {
        const userIds = [await newUserId(store, now), await newUserId(store, now)]
        const booked = await bookMany(store, userIds, 20)
        assert.equal(await store.upkeep.gatherRequests(now, 4), 0, 'none is that old')
        assert.equal(await belowOf(database), '')
        const counts: number[] = []
        for (let batch = 0; batch < 5; batch++) counts.push(await store.upkeep.gatherRequests(now + 14, 4))
        assert.deepEqual(counts, [4, 4, 4, 2, 0])
        for (const [userId, ids] of booked) {
          assert.deepEqual(await gatheredOf(database, userId), ids.slice(3))
          assert.deepEqual(await idsOf(store, userId), ids)
        }
        const below = await belowOf(database)
        assert.equal(below, sortableIdFrom('', now + 14))
        assert.equal(await store.upkeep.gatherRequests(now + 3, 4), 0, 'a clock that was set back')
        assert.equal(await belowOf(database), below)
      }))

    it('goes on where another process has stopped', () =>
      withDatabase(create, async (database) => {
        let userId = ''
        let ids: readonly string[] = []
        await whileOpen(database, 'first', async (store) => {
          userId = await newUserId(store, now)
          ids = (await bookMany(store, [userId], 9)).get(userId) ?? []
          assert.equal(await store.upkeep.gatherRequests(now + hourMs, 4), 4)
        })
        await whileOpen(database, 'second', async (store) => {
          assert.deepEqual(await idsOf(store, userId), ids)
          assert.equal(await store.upkeep.gatherRequests(now + hourMs, 500), 5)
          assert.deepEqual(await gatheredOf(database, userId), ids)
          assert.deepEqual(await idsOf(store, userId), ids)
        })
      }))

    it('are found where their ids are older than what was gathered', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now - hourMs)
        const ids = [await book(store, { userId, at: now })]
        assert.equal(await store.upkeep.gatherRequests(now + minuteMs, 500), 1)
        const at = now + 2 * minuteMs
        const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
        const ask = { userId, address: '192.0.2.1', route: '/v1/messages', isMetered: true, units }
        // A body that was on its way for minutes; one that was not.
        for (const madeAt of [now - 3 * minuteMs, at]) {
          const requestId = createSortableId('req_', madeAt)
          await store.metering.runBatch({ now: at, settlements: [], asks: [{ ...ask, requestId }] })
          await close(store, requestId, { userId, at })
          ids.push(requestId)
        }
        assert.deepEqual(await gatheredOf(database, userId), newestFirst(ids.slice(0, 2)))
        // The clock was set back by a minute and a half: before what was gathered, and not late by that clock.
        ids.push(await book(store, { userId, at: now + minuteMs / 2 }))
        // A request whose entry is gone with the latest transactions of the database.
        const lost = createSortableId('req_', now - 10 * minuteMs)
        const opened = { userId, route: '/v1/messages', family: 'claude', model: 'claude-x' }
        await store.metering.runBatch({
          ...{ now: at, asks: [] },
          settlements: [
            {
              ...{
                requestId: lost,
                ending: 'settled',
                usage,
                isEstimated: false,
                status: 200,
                durationMs: 1,
              },
              opened: { ...opened, isMetered: true, inputEstimate: 1, startedAt: now - 10 * minuteMs },
            },
          ],
        })
        ids.push(lost)
        // What others report of an earlier time.
        const requestId = createSortableId('evt_', now - minuteMs)
        const about = { ...opened, usage, isEstimated: false, status: 200 }
        const events = [{ ...about, eventId: 'event', requestId }]
        await store.metering.runBatch({ now: at, settlements: [], asks: [], events })
        ids.push(requestId)
        for (let round = 0; round < 2; round++) {
          assert.deepEqual(await idsOf(store, userId), newestFirst(ids))
          await store.upkeep.gatherRequests(at + minuteMs, 500)
        }
        assert.deepEqual(
          (await gatheredOf(database, userId)).toSorted(),
          ids.toSorted(),
          'each of them, and no adjustment',
        )
      }))

    it('go from the lists with their entries', () =>
      withStore(create, async (store, database) => {
        const userIds = [await newUserId(store, now), await newUserId(store, now)]
        const booked = await bookMany(store, userIds, 10)
        const running = await open(store, { userId: userIds[0] ?? '', at: now })
        await store.upkeep.gatherRequests(now + 6, 500)
        assert.equal(await store.upkeep.purgeEntries(now + 8, 500), 8)
        for (const [userId, ids] of booked) {
          const left = [...ids.slice(0, 1), ...(userId === userIds[0] ? [running] : [])]
          assert.deepEqual(await gatheredOf(database, userId), left.slice(1))
          assert.deepEqual(await idsOf(store, userId), left)
        }
        await store.upkeep.gatherRequests(now + hourMs, 500)
        for (const userId of userIds)
          assert.deepEqual(await gatheredOf(database, userId), await idsOf(store, userId))
      }))

    it('are there after an upgrade, those of an hour before the newest on to be gathered anew', () =>
      withDatabase(create, async (database) => {
        let userId = ''
        const ids: string[] = []
        await whileOpen(database, 'before', async (store) => {
          userId = await newUserId(store, now)
          for (const at of [now - 3 * hourMs, now - 2 * hourMs, now - minuteMs, now])
            ids.unshift(await book(store, { userId, at }))
          ids.unshift(await open(store, { userId, at: now + 1 }))
          await store.users.writeUsers(
            [{ ref: { id: userId }, edit: { quotaUsed: { claude: 77 } } }],
            by(now),
          )
        })
        // As the version before has left it.
        for (const statement of [
          'drop table user_requests',
          "create index entries_of_user on entries (user_id, id) where state <> 'open'",
          "delete from facts where name = 'user_requests_below'",
          'delete from migrations where number = 7',
        ])
          await database.change(statement)
        await whileOpen(database, 'after', async (store) => {
          assert.deepEqual(await gatheredOf(database, userId), ids)
          assert.equal(await belowOf(database), sortableIdFrom('', now + 1 - hourMs))
          assert.deepEqual(await idsOf(store, userId), ids)
          assert.equal(await store.upkeep.gatherRequests(now + hourMs, 500), 3)
          assert.deepEqual(await idsOf(store, userId), ids)
        })
      }))
  })
}

describe('requests by user, gathered by several instances', {
  skip: !databases.some(({ name }) => name === 'PostgreSQL'),
}, () => {
  it('are gathered once each', () =>
    withStore(createPostgres, async (store, database) => {
      const userIds = [await newUserId(store, now), await newUserId(store, now), await newUserId(store, now)]
      const booked = await bookMany(store, userIds, 60)
      await whileOpen(database, 'one', (one) =>
        whileOpen(database, 'two', async (two) => {
          let isOver = false
          const look = async () => {
            while (!isOver)
              for (const [userId, ids] of booked) assert.deepEqual(await idsOf(store, userId), ids)
          }
          const gather = async ({ upkeep }: Store) => {
            let sum = 0
            for (let count = -1; count !== 0; sum += count)
              count = await upkeep.gatherRequests(now + hourMs, 3)
            return sum
          }
          const gathering = Promise.all([store, one, two].map(gather)).finally(() => {
            isOver = true
          })
          const [counts] = await Promise.all([gathering, look()])
          assert.equal(
            counts.reduce((a, b) => a + b, 0),
            60,
          )
        }),
      )
      for (const [userId, ids] of booked) assert.deepEqual(await gatheredOf(database, userId), ids)
    }))

  it('wait for a transaction that has written and is not seen yet', () =>
    withDatabase(createPostgres, (database) =>
      whileOpen(database, 'test', async (store) => {
        const userId = await newUserId(store, now)
        const seen = await book(store, { userId, at: now })
        const client = new pg.Client({ connectionString: database.url })
        await client.connect()
        try {
          // As one that waits for its standby: with the other's columns, and an id of the same time.
          const unseen = createSortableId('req_', now)
          await client.query('begin')
          const columns =
            'user_id, kind, route, family, model, state, hold, input_estimate, instance, started_at'
          await client.query(
            `insert into entries (id, ${columns}) select $1, ${columns} from entries where id = $2`,
            [unseen, seen],
          )
          await client.query('select pg_sleep(0.2)')
          assert.equal(await store.upkeep.gatherRequests(now + 150, 500), 0)
          await client.query('commit')
          assert.equal(await store.upkeep.gatherRequests(now + 150, 500), 2)
          assert.deepEqual(await idsOf(store, userId), newestFirst([seen, unseen]))
        } finally {
          await client.end()
        }
      }),
    ))
})
