import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { unitsOf } from '#core/usage.ts'
import type { WeightSettings } from '#core/weights.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { assertInvariants } from '../support/invariants.ts'
import { book, close, newUserId, open } from '../support/ledger.ts'
import { databases, type TestDatabase, testPolicy, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const [minuteMs, hourMs] = [60_000, 3_600_000]
const weights: WeightSettings = {
  all: { cacheRead: 0.1, output: 3 },
  families: { claude: { cacheWritten: 1.25 }, turbo: { cacheRead: 0, output: 0, input: 0 } },
}
const policy = { ...testPolicy, weights }
const usage = { input: 100, cacheRead: 1003, cacheWritten: 10, output: 20, reasoning: 5 }
const plain = unitsOf(usage)
const charged = { claude: 100 + 101 + 12 + 75, gpt4: 100 + 101 + 10 + 75, turbo: 10 }

async function usedOf(store: Store, id: string, family = 'claude', at = now): Promise<number> {
  return (await store.users.findUser({ id }, at))?.quotas.get(family)?.used ?? 0
}

/** Units of all requests, as a report adds them up. */
async function reported(store: Store, bucket: 'minute' | 'hour' | 'day', userId?: string) {
  const range = { bucket, from: now - 48 * hourMs, to: now + hourMs, groupBy: [], limit: 1000 } as const
  const rows = await store.usage.readUsage({ ...range, ...(userId !== undefined && { userId }) })
  return rows.reduce((sum, { units }) => sum + units, 0)
}

/** Gathers all minutes that are old, also where a pass over them has just ended. */
async function gather(store: Store, database: TestDatabase, before: number): Promise<void> {
  const old = () => database.rows(`select * from usage_minutes where minute_at < ${before}`)
  for (let turn = 0; turn < 5 && (await old()).length > 0; turn += 1)
    await store.upkeep.gatherUsage(before, 10)
  assert.deepEqual(await old(), [], 'all of them are gathered')
}

/** The same database, opened again by a program with other weights. */
async function reopened(
  store: Store,
  database: TestDatabase,
  other: WeightSettings | undefined,
): Promise<Store> {
  await store.close()
  const settings = { ...testPolicy, ...(other && { weights: other }) }
  return openStore(database.settings({ policy: settings }))
}

for (const { name, create } of databases) {
  describe(`weights on ${name}`, () => {
    it('charge each request by its family, keep the figures of each kind, and report both', () =>
      withStore(
        create,
        async (store, database) => {
          const userId = await newUserId(store, now)
          for (const [family, units] of Object.entries(charged)) {
            const before = await reported(store, 'day')
            const id = await book(store, { userId, at: now, family, model: `${family}-x`, usage })
            assert.equal(await usedOf(store, userId, family), units, family)
            assert.deepEqual(
              await database.rows(
                `select units, input, cache_read, cache_written, output, reasoning from entries where id = '${id}'`,
              ),
              [{ units, input: 100, cache_read: 1003, cache_written: 10, output: 20, reasoning: 5 }],
            )
            for (const bucket of ['minute', 'hour', 'day'] as const)
              for (const who of [undefined, userId])
                assert.equal(await reported(store, bucket, who), before + units)
          }
          await assertInvariants(database)
        },
        { policy },
      ))

    it('charge what was used elsewhere, and an estimate until the figures come', () =>
      withStore(
        create,
        async (store, database) => {
          const userId = await newUserId(store, now)
          const event = {
            ...{ eventId: 'one', requestId: createSortableId('evt_', now), userId, route: '/usage' },
            ...{ family: 'claude', model: 'claude-x', usage, isEstimated: false, status: 200 },
          }
          await store.metering.runBatch({ now, settlements: [], asks: [], events: [event, event] })
          assert.equal(await usedOf(store, userId), charged.claude)
          // The estimate of one unit of input, and then what it really was.
          const id = await open(store, { userId, at: now, family: 'gpt4', model: 'gpt4-x' })
          const other = { ...weights, all: { ...weights.all, input: 7 } }
          const next = await reopened(store, database, other)
          try {
            const abandoned = {
              userId,
              at: now,
              endAt: now + minuteMs,
              ending: 'abandoned',
              isEstimated: true,
            } as const
            await close(next, id, abandoned)
            assert.equal(await usedOf(next, userId, 'gpt4'), 7)
            await close(next, id, { userId, at: now, endAt: now + 2 * minuteMs, usage })
            const late = 700 + 101 + 10 + 75
            assert.equal(await usedOf(next, userId, 'gpt4'), late)
            for (const bucket of ['minute', 'hour', 'day'] as const)
              for (const who of [undefined, userId])
                assert.equal(await reported(next, bucket, who), charged.claude + late)
            await assertInvariants(database)
          } finally {
            await next.close()
          }
        },
        { policy },
      ))

    for (const isGathered of [false, true])
      it(`count anew what was charged by the weights of its time${isGathered ? ', gathered into hours' : ''}`, () =>
        withStore(
          create,
          async (store, database) => {
            const userId = await newUserId(store, now, { limits: { period: 'daily' } })
            const claude = (at: number) => ({ userId, at, usage })
            await book(store, claude(now - 26 * hourMs))
            // Some stands in an hour already when more of it is gathered.
            if (isGathered) await gather(store, database, now - hourMs)
            await book(store, claude(now - 2 * hourMs))
            if (isGathered) await gather(store, database, now - hourMs)
            await book(store, claude(now - 2 * hourMs))
            const doubled = await reopened(store, database, { all: { output: 10 }, families: {} })
            await book(doubled, claude(now - 2 * hourMs))
            if (isGathered) await gather(doubled, database, now - hourMs)
            const none = await reopened(doubled, database, undefined)
            try {
              await book(none, claude(now - 2 * hourMs))
              await book(none, claude(now - minuteMs))
              if (isGathered) await gather(none, database, now - hourMs)
              const today = 2 * charged.claude + (1113 + 250) + 2 * plain
              assert.equal(await usedOf(none, userId), today)
              // From today's beginning to the month's, the hour's, and all there ever was.
              for (const [period, expected] of [
                ['monthly', today + charged.claude],
                ['hourly', 0],
                ['none', today + charged.claude],
                ['daily', today],
              ] as const) {
                await none.users.writeUsers([{ ref: { id: userId }, edit: { limits: { period } } }], by(now))
                assert.equal(await usedOf(none, userId), expected, period)
              }
              for (const bucket of ['hour', 'day'] as const)
                for (const who of [undefined, userId])
                  assert.equal(await reported(none, bucket, who), today + charged.claude)
              await assertInvariants(database)
            } finally {
              await none.close()
            }
          },
          { policy },
        ))

    it('take what was booked before there were any as it was charged', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now)
        await book(store, { userId, at: now - 5 * hourMs, usage })
        await gather(store, database, now - hourMs)
        await book(store, { userId, at: now, usage })
        await store.close()
        // As the version before left it.
        for (const table of ['usage_minutes', 'usage_hours', 'total_minutes', 'total_hours'])
          await database.change(`alter table ${table} drop column weighing`)
        await database.change('delete from migrations where number = 8')
        const next = await openStore(database.settings({ policy }))
        try {
          await book(next, { userId, at: now, usage })
          const edit = { limits: { period: 'daily' } } as const
          await next.users.writeUsers([{ ref: { id: userId }, edit }], by(now))
          assert.equal(await usedOf(next, userId), 2 * plain + charged.claude)
          for (const who of [undefined, userId])
            assert.equal(await reported(next, 'hour', who), 2 * plain + charged.claude)
          await assertInvariants(database)
        } finally {
          await next.close()
        }
      }))

    it('hold what a request may come to', () =>
      withStore(
        create,
        async (store, database) => {
          const userId = await newUserId(store, now, { quotaLimits: { claude: 1000 } })
          const ask = (output: number) => ({
            ...{
              requestId: createSortableId('req_', now),
              userId,
              address: '192.0.2.1',
              route: '/v1/messages',
            },
            isMetered: true,
            units: { model: 'claude-x', family: 'claude', input: 80, output, choices: 1 },
          })
          // 80 of the dearest kind of input, 1.25, and 300 of output at 3.
          const { asks } = await store.metering.runBatch({
            now,
            settlements: [],
            asks: [ask(301), ask(300), ask(0)],
          })
          assert.deepEqual(
            asks.map((outcome) => (outcome.kind === 'admitted' ? outcome.hold : outcome.code)),
            ['quota_exceeded', 1000, 'quota_exceeded'],
          )
          await assertInvariants(database)
        },
        { policy },
      ))

    it('saturate where the figures are absurd, and go on', () =>
      withStore(
        create,
        async (store, database) => {
          const userId = await newUserId(store, now)
          // Each row of usage beyond what 64 bits hold, in both directions.
          const absurd = {
            claude: { cacheRead: Number.MAX_SAFE_INTEGER },
            gpt4: { input: 90_000_000_000_000 },
          }
          for (const [family, figures] of Object.entries(absurd))
            for (let count = 0; count < 1100; count += 1) {
              const { metering } = store
              const event = {
                ...{
                  eventId: `${family} ${count}`,
                  requestId: createSortableId('evt_', now),
                  userId,
                  route: '/usage',
                },
                ...{ family, model: 'x', usage: { ...usage, ...figures }, isEstimated: false, status: 200 },
              }
              await metering.runBatch({ now, settlements: [], asks: [], events: [event] })
            }
          await gather(store, database, now + hourMs)
          await book(store, { userId, at: now, usage })
          assert.equal(await usedOf(store, userId, 'gpt4'), Number.MAX_SAFE_INTEGER)
          assert.equal(await usedOf(store, userId), 1101 * (100 + 10 + 25))
          for (const table of ['usage_hours', 'total_minutes', 'total_hours'])
            assert.deepEqual(
              await database.rows(`select min(weighing) as least, max(weighing) as most from ${table}`),
              [{ least: -Number.MAX_SAFE_INTEGER, most: Number.MAX_SAFE_INTEGER }],
              table,
            )
        },
        {
          policy: {
            ...testPolicy,
            weights: { all: { cacheRead: 0 }, families: { gpt4: { input: 100 } } },
          },
        },
      ))
  })
}
