import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type UsageBucket,
  type UsageDimension,
  type UsageQuestion,
  type UsageRow,
  usageBuckets,
  usageDimensions,
} from '#core/usage-question.ts'
import type { WeightSettings } from '#core/weights.ts'
import type { Store } from '#storage/store.ts'
import { book, createRandom, newUserId } from '../support/ledger.ts'
import { databases, type TestDatabase, testPolicy, withStore } from '../support/stores.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const dimensions = usageDimensions.filter((name) => name !== 'tag')
/** Every set of dimensions; tags are in tags.test.ts. */
const groupings: readonly (readonly UsageDimension[])[] = Array.from(
  { length: 2 ** dimensions.length },
  (_, bits) => dimensions.filter((_, index) => bits & (1 << index)),
)

/** The first instant of the day that an hour begins in, found by asking the calendar quarter by quarter. */
function dayOf(at: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
  const hourAt = Math.floor(at / hourMs) * hourMs
  const date = format.format(hourAt)
  let start = hourAt
  while (format.format(start - hourMs / 4) === date) start -= hourMs / 4
  return start
}

function bucketOf(at: number, bucket: UsageBucket, timeZone: string): number {
  if (bucket === 'day') return dayOf(at, timeZone)
  const lengthMs = bucket === 'hour' ? hourMs : 60_000
  return Math.floor(at / lengthMs) * lengthMs
}

type Entry = Readonly<Record<string, unknown>>

/** The same report added up from the entries, one by one. */
async function fromEntries(
  database: TestDatabase,
  question: UsageQuestion,
  timeZone: string,
): Promise<readonly UsageRow[]> {
  const { bucket, groupBy, userId, family, model, upstream, status } = question
  const entries = await database.rows(
    "select *, coalesce(upstream, '') as up from entries where kind = 'metered' and state <> 'open'",
  )
  const rows = new Map<string, UsageRow & { usage: UsageRow['usage'] }>()
  const days = new Map<number, number>()
  for (const entry of entries) {
    const endedAt = Number(entry.ended_at)
    const hourAt = bucketOf(endedAt, 'hour', timeZone)
    const at =
      bucket === 'day'
        ? (days.get(hourAt) ?? bucketOf(endedAt, bucket, timeZone))
        : bucketOf(endedAt, bucket, timeZone)
    if (bucket === 'day') days.set(hourAt, at)
    if (at < bucketOf(question.from, bucket, timeZone) || at >= question.to) continue
    const wanted = { user_id: userId, family, model, up: upstream, status }
    if (Object.entries(wanted).some(([name, value]) => value !== undefined && entry[name] !== value)) continue
    const groups = {
      ...(groupBy.includes('user') && { userId: String(entry.user_id) }),
      ...(groupBy.includes('family') && { family: String(entry.family) }),
      ...(groupBy.includes('model') && { model: String(entry.model) }),
      ...(groupBy.includes('upstream') && { upstream: String(entry.up) }),
      ...(groupBy.includes('status') && { status: Number(entry.status) }),
    }
    const key = JSON.stringify([at, groups])
    const { requests = 0, estimated = 0, usage, units = 0 } = rows.get(key) ?? {}
    rows.set(key, {
      at,
      ...groups,
      requests: requests + 1,
      estimated: estimated + Number(entry.is_estimated),
      usage: {
        input: (usage?.input ?? 0) + figure(entry, 'input'),
        cacheRead: (usage?.cacheRead ?? 0) + figure(entry, 'cache_read'),
        cacheWritten: (usage?.cacheWritten ?? 0) + figure(entry, 'cache_written'),
        output: (usage?.output ?? 0) + figure(entry, 'output'),
        reasoning: (usage?.reasoning ?? 0) + figure(entry, 'reasoning'),
      },
      units: units + figure(entry, 'units'),
    })
  }
  const keyOf = (row: UsageRow) => [
    row.at,
    ...groupBy.map((name) => (name === 'user' ? row.userId : row[name]) ?? ''),
  ]
  return [...rows.values()].toSorted((a, b) => compare(keyOf(a), keyOf(b)))
}

function figure(entry: Entry, name: string): number {
  return Number(entry[name])
}

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index] ?? ''
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

/** Three days around `middle`, in which a few users ask for all kinds of things. */
async function writeHistory(store: Store, middle: number, seed: number): Promise<readonly string[]> {
  const random = createRandom(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const userIds = [
    await newUserId(store, middle),
    await newUserId(store, middle),
    await newUserId(store, middle),
  ]
  const models = [
    ['claude', 'claude-x'],
    ['claude', 'claude-y'],
    ['gpt4', 'gpt-4o'],
  ] as const
  for (let index = 0; index < 250; index++) {
    const [family, model] = pick(models)
    const upstream = pick(['first', 'second', undefined])
    await book(store, {
      userId: pick(userIds),
      at: middle + Math.floor((random() - 0.5) * 3 * dayMs),
      ...{
        family,
        model,
        status: pick([200, 200, 200, 502]),
        ending: pick(['settled', 'settled', 'released']),
      },
      isEstimated: random() < 0.2,
      usage: {
        input: Math.floor(random() * 100),
        cacheRead: 2,
        cacheWritten: 3,
        output: Math.floor(random() * 100),
        reasoning: 1,
      },
      ...(upstream !== undefined && { upstream }),
    })
  }
  return userIds
}

/** Around the days that daylight saving makes 25 and 23 hours long, and where days begin at half past. */
const zones: readonly {
  readonly timeZone: string
  readonly middle: number
  readonly weights?: WeightSettings
}[] = [
  { timeZone: 'UTC', middle: Date.parse('2026-11-22T12:00:00Z') },
  {
    timeZone: 'Europe/Paris',
    middle: Date.parse('2026-10-25T12:00:00Z'),
    weights: { all: { cacheRead: 0.1 }, families: { claude: { output: 4.5 } } },
  },
  { timeZone: 'America/New_York', middle: Date.parse('2026-03-08T12:00:00Z') },
  { timeZone: 'Asia/Kolkata', middle: Date.parse('2026-11-22T12:00:00Z') },
  { timeZone: 'Pacific/Chatham', middle: Date.parse('2026-04-05T00:00:00Z') },
]

for (const { name, create } of databases) {
  describe(`usage on ${name}`, () => {
    for (const { timeZone, middle, weights } of zones) {
      it(`is the sum of the entries, whichever way it is asked (${timeZone})`, () =>
        withStore(
          create,
          async (store, database) => {
            const [userId = ''] = await writeHistory(store, middle, 7)
            const range = { from: middle - 1.1 * dayMs, to: middle + 0.9 * dayMs + 1, limit: 10_000 }
            const check = async (question: UsageQuestion) =>
              assert.deepEqual(
                await store.usage.readUsage(question),
                await fromEntries(database, question, timeZone),
                JSON.stringify(question),
              )
            for (const bucket of usageBuckets) {
              for (const groupBy of groupings) await check({ ...range, bucket, groupBy })
              for (const groupBy of groupings.slice(0, 8)) await check({ ...range, bucket, groupBy, userId })
              const filters = [{ family: 'claude' }, { model: 'claude-y', status: 200 }, { upstream: '' }]
              for (const filter of filters) {
                await check({ ...range, bucket, groupBy: [], ...filter })
                await check({ ...range, bucket, groupBy: ['user'], ...filter })
              }
            }
            // The same by hours and days while some minutes have been gathered, and when all have.
            let gathered = 0
            for (let count = 1; count > 0; gathered += count) {
              count = await store.upkeep.gatherUsage(middle, 40)
              assert.ok(count <= 40, `${count} at once`)
              if (gathered > 80 && count > 0) continue
              for (const bucket of ['hour', 'day'] as const) {
                for (const groupBy of [[], ['user'], ['user', 'model', 'status']] as const) {
                  await check({ ...range, bucket, groupBy })
                  await check({ ...range, bucket, groupBy, userId })
                }
              }
            }
            const [left] = await database.rows(
              `select count(*) as old from usage_minutes where minute_at < ${middle}`,
            )
            assert.equal(left?.old, 0)
            assert.ok(gathered > 60, `${gathered} minutes`)
          },
          { policy: { ...testPolicy, timeZone, ...(weights && { weights }) } },
        ))
    }

    it('loses nothing that is booked while minutes are gathered', () =>
      withStore(create, async (store, database) => {
        const now = Date.parse('2026-11-22T12:00:00Z')
        const users = await writeHistory(store, now, 11)
        const question = {
          ...{ bucket: 'hour' as const, from: now - 3 * dayMs, to: now + 3 * dayMs },
          ...{ groupBy: ['user', 'model'] as const, limit: 10_000 },
        }
        let isOver = false
        const gathering = (async () => {
          while (!isOver) await store.upkeep.gatherUsage(now + 2 * dayMs, 25)
        })()
        for (let index = 0; index < 200; index++) {
          const userId = users[index % users.length] ?? ''
          // Into minutes that have just been gathered as well.
          await book(store, { userId, at: now - (index % 50) * 60_000, usage: { output: index } })
        }
        isOver = true
        await gathering
        assert.deepEqual(await store.usage.readUsage(question), await fromEntries(database, question, 'UTC'))
      }))

    it('answers at most as many rows as are asked for, the first ones', () =>
      withStore(create, async (store) => {
        const now = Date.parse('2026-11-22T12:00:00Z')
        await writeHistory(store, now, 13)
        for (const bucket of usageBuckets) {
          for (const groupBy of [[], ['user', 'model']] as const) {
            const question = { bucket, from: now - 3 * dayMs, to: now + 3 * dayMs, groupBy }
            const all = await store.usage.readUsage({ ...question, limit: 10_000 })
            assert.deepEqual(await store.usage.readUsage({ ...question, limit: 3 }), all.slice(0, 3))
          }
        }
      }))

    it('shows nothing of what was charged and taken back', () =>
      withStore(create, async (store, database) => {
        const at = Date.parse('2026-11-22T12:00:00Z')
        const userId = await newUserId(store, at)
        const requestId = await book(store, {
          userId,
          at,
          ending: 'abandoned',
          isEstimated: true,
          status: 0,
        })
        const question = { bucket: 'day', from: at, to: at + 1, groupBy: ['status'], limit: 9 } as const
        const charged = await store.usage.readUsage(question)
        assert.deepEqual(
          charged.map(({ requests, estimated, usage }) => [requests, estimated, usage.input]),
          [[1, 1, 1]],
        )
        const usage = { input: 3, cacheRead: 0, cacheWritten: 0, output: 4, reasoning: 0 }
        const settlement = { requestId, ending: 'settled', usage, isEstimated: false, status: 200 } as const
        await store.metering.runBatch({
          now: at + 1000,
          settlements: [{ ...settlement, durationMs: 1 }],
          asks: [],
        })
        for (const who of [{}, { userId }])
          assert.deepEqual(
            await store.usage.readUsage({ ...question, ...who }),
            await fromEntries(database, question, 'UTC'),
          )
      }))

    it('adds up to what a number holds exactly, and no further', () =>
      withStore(create, async (store) => {
        const at = Date.parse('2026-11-22T12:00:00Z')
        const userId = await newUserId(store, at)
        const question = { bucket: 'hour', from: at, to: at + 1, groupBy: [], limit: 9 } as const
        const usage = { output: Number.MAX_SAFE_INTEGER - 1 }
        await book(store, { userId, at, usage })
        const [row] = await store.usage.readUsage(question)
        assert.equal(row?.usage.output, usage.output)
        for (let count = 0; count < 3; count++) await book(store, { userId, at, usage })
        for (const who of [{}, { userId }]) {
          const [full] = await store.usage.readUsage({ ...question, ...who })
          assert.deepEqual([full?.requests, full?.usage.output], [4, Number.MAX_SAFE_INTEGER])
        }
      }))
  })
}
