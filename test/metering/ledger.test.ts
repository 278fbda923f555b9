import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserEdit } from '#core/user-edit.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openLedger } from '#metering/batcher.ts'
import type { Ledger } from '#metering/ledger.ts'
import { parseExtras } from '#storage/ledger/rows.ts'
import { openStore } from '#storage/open.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement } from './questions.ts'

for (const { name, create } of databases) {
  describe(`metering on ${name}`, () => {
    const withMeter = (
      run: (
        ledger: Ledger,
        store: Store,
        rows: (query: string) => Promise<readonly Readonly<Record<string, unknown>>[]>,
      ) => Promise<void>,
      changes = {},
    ) =>
      withStore(
        create,
        async (store, database) => {
          const ledger = openLedger(store.metering, () => now)
          await run(ledger, store, database.rows)
          await ledger.close()
          await assertInvariants(database)
        },
        changes,
      )

    it('reserves, then moves the hold to what was used', () =>
      withMeter(async (ledger, store, rows) => {
        const user = await newUser(store, 1000)
        const outcome = await ledger.admit(ask('r1', user.accessToken))
        assert.equal(outcome.kind === 'admitted' && outcome.hold, 100)
        assert.deepEqual([outcome.user?.id, outcome.user?.type], [user.id, 'normal'])
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 0, reserved: 100 })
        const usage = { input: 1, cacheRead: 2, cacheWritten: 3, output: 4, reasoning: 5 }
        const extras = { toolRequests: { web_search: 2 }, cacheWritten1h: 3, serviceTier: 'flex' }
        await ledger.settle(settlement('r1', usage, { upstream: 'up', firstByteMs: 3, extras }))
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 15, reserved: 0 })
        const [entry] = await rows("select * from entries where id = 'r1'")
        const expected = {
          ...{
            user_id: user.id,
            kind: 'metered',
            route: '/v1/messages',
            family: 'claude',
            model: 'claude-x',
            state: 'settled',
          },
          ...{
            hold: 100,
            input_estimate: 10,
            is_estimated: 0,
            input: 1,
            cache_read: 2,
            cache_written: 3,
            output: 4,
            reasoning: 5,
          },
          ...{
            units: 15,
            status: 200,
            upstream: 'up',
            address: '192.0.2.1',
            duration_ms: 5,
            first_byte_ms: 3,
            started_at: now,
            ended_at: now,
          },
        }
        for (const [column, value] of Object.entries(expected)) assert.equal(entry?.[column], value, column)
        assert.deepEqual(parseExtras(String(entry?.extras)), extras)
        const expectedUsage = {
          requests: 1,
          estimated: 0,
          output: 4,
          reasoning: 5,
          upstream: 'up',
          status: 200,
        }
        for (const table of ['usage_minutes', 'total_minutes', 'total_hours']) {
          const [usage] = await rows(`select * from ${table}`)
          for (const [column, value] of Object.entries(expectedUsage))
            assert.equal(usage?.[column], value, `${table}.${column}`)
        }
        const found = await store.users.findUser({ id: user.id }, now)
        assert.deepEqual([found?.promptCount, found?.lastUsedAt, found?.addresses], [1, now, ['192.0.2.1']])
      }))

    it('settles once, whatever is repeated', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, 1000)
        await ledger.admit(ask('r1', user.accessToken))
        await Promise.all([
          ledger.settle(settlement('r1', { output: 7 })),
          ledger.settle(settlement('r1', { output: 7 })),
        ])
        await ledger.settle(settlement('r1', { output: 900 }))
        await ledger.settle(settlement('never-asked', { output: 900 }))
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 7, reserved: 0 })
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 1)
      }))

    it('keeps nothing of a batch that failed, also of a user with a request open', () =>
      withMeter(async (_, store) => {
        const user = await newUser(store, 1000)
        const batch = (id: string) => ({ now, settlements: [], asks: [ask(id, user.accessToken)] })
        await store.metering.runBatch(batch('r1'))
        // An id that was given twice: nothing of the second can be written, and nobody else wrote anything meanwhile.
        await assert.rejects(store.metering.runBatch(batch('r1')))
        await store.metering.runBatch({ now, settlements: [settlement('r1', { input: 7 })], asks: [] })
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 7, reserved: 0 })
      }))

    it('releases without a trace in the counts', () =>
      withMeter(async (ledger, store, rows) => {
        const user = await newUser(store, 1000)
        await ledger.admit(ask('r1', user.accessToken))
        await ledger.settle(settlement('r1', { output: 50 }, { ending: 'released', status: 500 }))
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 0, reserved: 0 })
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 0)
        const [usage] = await rows('select * from usage_minutes')
        assert.deepEqual(
          [usage?.requests, usage?.status, usage?.output],
          [1, 500, 0],
          'only that it happened',
        )
      }))

    it('books what happened also beyond a limit that was lowered meanwhile', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, 1000)
        await ledger.admit(ask('r1', user.accessToken))
        await store.users.writeUsers(
          [{ ref: { id: user.id }, edit: { quotaLimits: { claude: 5 } } }],
          by(now),
        )
        assert.equal((await ledger.admit(ask('r2', user.accessToken))).kind, 'refused')
        await ledger.settle(settlement('r1', { output: 5000 }))
        assert.deepEqual(await quotaOf(store, user.id), { limit: 5, used: 5000, reserved: 0 })
      }))

    it('an edit while requests run leaves their reservations alone', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, 1000)
        await ledger.admit(ask('r1', user.accessToken))
        await store.users.writeUsers(
          [{ ref: { id: user.id }, edit: { quotaUsed: { claude: 800 }, nickname: 'x' } }],
          by(now),
        )
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 800, reserved: 100 })
        await ledger.settle(settlement('r1', { output: 30 }))
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 830, reserved: 0 })
      }))

    it('admits exactly what fits of 500 at once, and again after half of them ended', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, 2500)
        const outcomes = await Promise.all(
          Array.from({ length: 500 }, (_, index) => ledger.admit(ask(`r${index}`, user.accessToken))),
        )
        const admitted = outcomes.flatMap((outcome, index) =>
          outcome.kind === 'admitted' ? [`r${index}`] : [],
        )
        assert.equal(admitted.length, 25)
        await Promise.all(admitted.slice(0, 12).map((id) => ledger.settle(settlement(id, { output: 0 }))))
        const again = await Promise.all(
          Array.from({ length: 100 }, (_, index) => ledger.admit(ask(`s${index}`, user.accessToken))),
        )
        assert.equal(again.filter((outcome) => outcome.kind === 'admitted').length, 12)
      }))

    it('never runs more at once than allowed', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, undefined, { limits: { concurrentRequests: 3 } })
        const run = async (index: number) => {
          const outcome = await ledger.admit(ask(`r${index}`, user.accessToken))
          return outcome.kind === 'admitted' ? `r${index}` : undefined
        }
        const running = (await Promise.all(Array.from({ length: 50 }, (_, index) => run(index)))).filter(
          (id) => id !== undefined,
        )
        assert.equal(running.length, 3)
        await ledger.settle(settlement(running[0] ?? '', {}, { ending: 'released' }))
        assert.deepEqual([await run(100), await run(101)], ['r100', undefined])
      }))

    it('lets nobody in from more places than allowed, however many come at once', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, undefined, { limits: { maxIps: 3 } })
        const from = (address: string, index: number) =>
          ledger.admit({ ...ask(`r${address}-${index}`, user.accessToken), address })
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, index) => from(`192.0.2.${index}`, 0)),
        )
        const admitted = outcomes.flatMap((outcome, index) => (outcome.kind === 'admitted' ? [index] : []))
        assert.deepEqual(admitted, [0, 1, 2])
        const codes = outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.code : ''))
        assert.equal(codes[3], 'address_limit')
        assert.equal((await from('192.0.2.1', 1)).kind, 'admitted')
        assert.equal((await from('192.0.2.77', 1)).kind, 'refused')
        assert.equal((await store.users.findUser({ id: user.id }, now))?.addresses.length, 3)
      }))

    it('counts an IPv6 client as one place however often it changes within its /64', () =>
      withMeter(async (ledger, store) => {
        const user = await newUser(store, undefined, { limits: { maxIps: 1 } })
        const from = (address: string) => ledger.admit({ ...ask(`r${address}`, user.accessToken), address })
        assert.equal((await from('2001:db8::1')).kind, 'admitted')
        assert.equal((await from('2001:db8::2')).kind, 'admitted')
        assert.equal((await from('2001:db8:0:1::1')).kind, 'refused')
      }))

    it('a refused request consumes nothing of any limit', () =>
      withMeter(async (ledger, store, rows) => {
        const user = await newUser(store, 50, { limits: { requestsPerMinute: 2, concurrentRequests: 2 } })
        for (let index = 0; index < 10; index++)
          assert.equal((await ledger.admit(ask(`r${index}`, user.accessToken))).kind, 'refused')
        for (const index of [1, 2]) {
          const outcome = await ledger.admit(ask(`s${index}`, user.accessToken, { input: 1, output: 1 }))
          assert.equal(outcome.kind, 'admitted')
        }
        const [{ count } = {}] = await rows('select count(*) as count from entries')
        assert.equal(count, 2)
      }))

    it('counts nothing for what is free, but records it', () =>
      withMeter(async (ledger, store, rows) => {
        const user = await newUser(store, 50)
        await ledger.admit({ ...ask('r1', user.accessToken, { input: 0, output: 0 }), isMetered: false })
        await ledger.settle(settlement('r1'))
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 0)
        const [entry] = await rows('select kind, state, units from entries')
        assert.deepEqual({ ...entry }, { kind: 'free', state: 'settled', units: 0 })
      }))

    it('asks without units whether a holder may come in, and writes nothing', () =>
      withMeter(async (ledger, store, rows) => {
        const user = await newUser(store, 0)
        const { units: _, ...question } = ask('r1', user.accessToken)
        assert.equal((await ledger.admit(question)).kind, 'admitted')
        assert.equal((await ledger.admit({ ...question, accessToken: 'nobody' })).kind, 'refused')
        assert.deepEqual(await rows('select id from entries'), [])
      }))

    for (const timeZone of ['UTC', 'Asia/Kolkata']) {
      it(`counts anew from the ledger when a period is changed (${timeZone})`, () =>
        withStore(
          create,
          async (store, database) => {
            let at = Date.parse('2026-11-21T10:00:00Z')
            const ledger = openLedger(store.metering, () => at)
            const user = await newUser(store, 1000)
            const use = async (units: number) => {
              const id = createSortableId('req_', at)
              await ledger.admit(ask(id, user.accessToken))
              await ledger.settle(settlement(id, { output: units }))
            }
            const change = (edit: UserEdit) =>
              store.users.writeUsers([{ ref: { id: user.id }, edit }], by(at))
            const usedNow = async () => (await quotaOf(store, user.id, at))?.used
            await use(5)
            // 23:45 in Kolkata, then 00:15 of the next day there: the same hour in UTC.
            at = Date.parse('2026-11-21T18:15:00Z')
            await use(20)
            at = Date.parse('2026-11-21T18:45:00Z')
            await use(100)
            assert.equal(await usedNow(), 125)
            await change({ limits: { period: 'daily' } })
            assert.equal(await usedNow(), timeZone === 'UTC' ? 125 : 100)
            await assertInvariants(database)
            at = Date.parse('2026-11-23T06:00:00Z')
            await use(7)
            assert.equal(await usedNow(), 7)
            await change({ quotaUsed: { claude: 9 } })
            await change({ limits: { period: 'monthly' }, quotaLimits: { claude: 500 } })
            assert.equal(await usedNow(), 134)
            await change({ limits: { period: null } })
            assert.equal(await usedNow(), 134)
            await ledger.close()
            await assertInvariants(database)
          },
          { policy: { ...testPolicy, timeZone } },
        ))
    }

    it('books into no period that a quota has left when the clock is set back', () =>
      withStore(
        create,
        async (store, database) => {
          let at = Date.parse('2026-11-23T00:00:00.010Z')
          const ledger = openLedger(store.metering, () => at)
          const user = await newUser(store, 1000)
          await ledger.admit(ask('r1', user.accessToken))
          await ledger.settle(settlement('r1', { output: 5 }))
          await ledger.admit(ask('r2', user.accessToken))
          at = Date.parse('2026-11-22T23:59:59.990Z')
          await ledger.settle(settlement('r2', { output: 7 }))
          await ledger.close()
          assert.equal((await quotaOf(store, user.id, at))?.used, 12)
          await assertInvariants(database)
        },
        { policy: { ...testPolicy, defaults: { period: 'daily' } } },
      ))

    it('keeps the newest 256 addresses', () =>
      withStore(create, async (store) => {
        let at = now
        const user = await newUser(store)
        const ledger = openLedger(store.metering, () => at++)
        for (let index = 0; index < 300; index++) {
          const { units: _, ...question } = ask(`r${index}`, user.accessToken)
          await ledger.admit({ ...question, address: `10.0.${index >> 8}.${index & 255}` })
        }
        await ledger.close()
        const { addresses = [] } = (await store.users.findUser({ id: user.id }, at)) ?? {}
        assert.deepEqual([addresses.length, addresses[0], addresses.at(-1)], [256, '10.0.0.44', '10.0.1.43'])
      }))

    it('charges what a dead process left open by its estimate, and frees the rest', async () => {
      const database = await create()
      const first = await openStore(database.settings())
      const user = await newUser(first, 1000)
      const ledger = openLedger(first.metering, () => now)
      for (let index = 0; index < 5; index++) await ledger.admit(ask(`r${index}`, user.accessToken))
      await ledger.settle(settlement('r0', { output: 1 }))
      await first.close()
      const second = await openStore(database.settings({ instance: 'next' }))
      assert.equal(await second.metering.abandonEntries(now + 1, 15_000), 4)
      assert.equal(await second.metering.abandonEntries(now + 1, 15_000), 0)
      assert.deepEqual(await quotaOf(second, user.id), { limit: 1000, used: 41, reserved: 0 })
      await assertInvariants(database)
      const rows = await database.rows("select state, is_estimated from entries where id = 'r1'")
      assert.deepEqual(
        rows.map((row) => ({ ...row })),
        [{ state: 'abandoned', is_estimated: 1 }],
      )
      await second.close()
      await database.remove()
    })

    it('counts a quota from zero when its period is over, and keeps what still runs', () =>
      withStore(
        create,
        async (store, database) => {
          let at = now
          const ledger = openLedger(store.metering, () => at)
          const user = await newUser(store, 200)
          await ledger.admit(ask('r1', user.accessToken))
          await ledger.settle(settlement('r1', { output: 150 }))
          await ledger.admit(ask('r2', user.accessToken, { input: 1, output: 9 }))
          assert.equal((await ledger.admit(ask('r3', user.accessToken))).kind, 'refused')
          at = Date.parse('2026-11-23T00:00:00Z')
          assert.deepEqual(await quotaOf(store, user.id, at), { limit: 200, used: 0, reserved: 10 })
          assert.equal((await ledger.admit(ask('r4', user.accessToken))).kind, 'admitted')
          await ledger.settle(settlement('r2', { output: 5 }))
          await ledger.close()
          assert.deepEqual(await quotaOf(store, user.id, at), { limit: 200, used: 5, reserved: 100 })
          await assertInvariants(database)
        },
        { policy: { ...testPolicy, defaults: { period: 'daily' } } },
      ))
  })
}

describe('the batcher', () => {
  const answerAll: MeteringStore['runBatch'] = async (batch) => ({
    durable: Promise.resolve(),
    settlements: batch.settlements.map(() => 'closed'),
    events: [],
    asks: batch.asks.map(() => ({
      kind: 'refused',
      code: 'unknown_access_token',
      message: '',
      user: undefined,
    })),
  })

  const rest = {
    beat: async () => {},
    abandonEntries: async () => 0,
    renewLease: async () => 'unknown',
  } as const satisfies Omit<MeteringStore, 'runBatch'>

  it('gathers while a batch runs, and never runs two at once', async () => {
    const sizes: number[] = []
    let running = 0
    const allAsked = Promise.withResolvers<void>()
    const ledger = openLedger(
      {
        ...rest,
        async runBatch(batch) {
          assert.equal(++running, 1)
          sizes.push(batch.asks.length)
          await allAsked.promise
          running--
          return answerAll(batch)
        },
      },
      () => now,
      { batchMax: 40 },
    )
    const first = Array.from({ length: 10 }, (_, index) => ledger.admit(ask(`a${index}`, 'x')))
    await waitUntil(() => running === 1, 'the first batch runs')
    const more = Array.from({ length: 90 }, (_, index) => ledger.admit(ask(`b${index}`, 'x')))
    allAsked.resolve()
    await Promise.all([...first, ...more])
    assert.deepEqual(sizes, [10, 40, 40, 10])
  })

  it('tells askers at once that the store is away, keeps settlements until it is back, and loses none', async () => {
    let isAway = true
    const booked: string[] = []
    const failures: unknown[] = []
    const ledger = openLedger(
      {
        ...rest,
        async runBatch(batch) {
          if (isAway) throw new Error('away')
          booked.push(...batch.settlements.map(({ requestId }) => requestId))
          return answerAll(batch)
        },
      },
      () => now,
      { onFailure: (error) => failures.push(error) },
    )
    const settled = Promise.all(['s1', 's2', 's3'].map((id) => ledger.settle(settlement(id))))
    await assert.rejects(ledger.admit(ask('a1', 'x')), /away/)
    const askedAt = performance.now()
    await assert.rejects(ledger.admit(ask('a2', 'x')), /away/)
    const askedMs = performance.now() - askedAt
    assert.ok(askedMs < 40, `an ask waits for ${askedMs} ms`)
    isAway = false
    await settled
    assert.deepEqual(booked.toSorted(), ['s1', 's2', 's3'])
    assert.ok(failures.length >= 2)
    await ledger.close()
  })
})
