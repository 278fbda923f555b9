import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { unitsMax } from '#core/units.ts'
import { noUsage } from '#core/usage.ts'
import { openLedger } from '#metering/batcher.ts'
import { openHeartbeat } from '#metering/heartbeat.ts'
import { openJournal, replayJournal } from '#metering/journal.ts'
import { openStore } from '#storage/open.ts'
import type { MeteringAnswer, MeteringStore } from '#storage/store/metering.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { withFolder } from '../support/folder.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement, usageEvent } from './questions.ts'

/** How an entry ends that its own process did not end in time, and what happens to what comes late. */
const silentMs = 15_000

for (const { name, create } of databases) {
  const batch = (store: Store, part: Partial<Parameters<MeteringStore['runBatch']>[0]>) =>
    store.metering.runBatch({ now, settlements: [], asks: [], ...part })
  const withChecked = (run: (store: Store, database: TestDatabase) => Promise<void>) =>
    withStore(create, async (store, database) => {
      await run(store, database)
      await assertInvariants(database)
    })
  const usageOf = async (database: TestDatabase) =>
    (
      await database.rows(`select sum(requests) as requests, sum(estimated) as estimated,
        sum(input + output) as units from usage_minutes`)
    ).map((row) => ({ ...row }))[0]

  describe(`leases on ${name}`, () => {
    it('hold as long as they run, and are charged the estimate when they end', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000)
        const leased = { ...ask('res_1', user.accessToken), leaseUntil: now + 60_000 }
        await batch(store, { asks: [leased] })
        assert.equal(await store.metering.abandonEntries(now + 59_999, silentMs), 0)
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 0, reserved: 100 })
        assert.equal(await store.metering.abandonEntries(now + 60_000, silentMs), 1)
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 10, reserved: 0 })
        assert.deepEqual(await usageOf(database), { requests: 1, estimated: 1, units: 10 })
      }))

    it('are prolonged while they are open, and no longer', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 1000)
        await batch(store, { asks: [{ ...ask('res_1', user.accessToken), leaseUntil: now + 1000 }] })
        assert.equal(await store.metering.renewLease('res_1', now + 5000), 'renewed')
        assert.equal(await store.metering.abandonEntries(now + 4999, silentMs), 0)
        assert.equal(await store.metering.renewLease('res_2', now + 5000), 'unknown')
        await batch(store, { settlements: [settlement('res_1', { output: 4 })] })
        assert.equal(await store.metering.renewLease('res_1', now + 9000), 'closed')
        assert.equal(await store.metering.abandonEntries(now + 99_999, silentMs), 0)
      }))

    it('belong to no process: a restart leaves them as they are', async () => {
      const database = await create()
      const first = await openStore(database.settings())
      const user = await newUser(first, 1000)
      await batch(first, {
        asks: [
          { ...ask('res_1', user.accessToken), leaseUntil: now + 60_000 },
          ask('req_1', user.accessToken),
        ],
      })
      await first.close()
      const second = await openStore(database.settings({ instance: 'next' }))
      assert.equal(await second.metering.abandonEntries(now + 1, silentMs), 1, 'only the process’ own')
      assert.deepEqual(await quotaOf(second, user.id), { limit: 1000, used: 10, reserved: 100 })
      const answer = await batch(second, { settlements: [settlement('res_1', { output: 7 })] })
      assert.deepEqual(answer.settlements, ['closed'])
      assert.deepEqual(await quotaOf(second, user.id), { limit: 1000, used: 17, reserved: 0 })
      await assertInvariants(database)
      await second.close()
      await database.remove()
    })
  })

  describe(`a settlement that comes after its entry was abandoned on ${name}`, () => {
    async function abandoned(store: Store) {
      const user = await newUser(store, 1000)
      await batch(store, { asks: [{ ...ask('res_1', user.accessToken), leaseUntil: now + 1000 }] })
      assert.equal(await store.metering.abandonEntries(now + 1000, silentMs), 1)
      return user
    }

    it('takes the place of the estimate, once', () =>
      withChecked(async (store, database) => {
        const user = await abandoned(store)
        const late = { now: now + 3_600_000, settlements: [settlement('res_1', { output: 42 })] }
        assert.deepEqual((await batch(store, late)).settlements, ['corrected'])
        assert.deepEqual((await batch(store, late)).settlements, ['repeated'])
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 42, reserved: 0 })
        assert.deepEqual(await usageOf(database), { requests: 1, estimated: 0, units: 42 })
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 1)
      }))

    it('counts no more prompts than can be put back', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 1000)
        const edit = { promptCount: unitsMax }
        await store.users.writeUsers([{ ref: { id: user.id }, edit }], by(now))
        await batch(store, { asks: [ask('req_1', user.accessToken)] })
        await batch(store, { settlements: [settlement('req_1', { output: 1 })] })
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, unitsMax)
      }))

    it('may release what was charged', () =>
      withChecked(async (store) => {
        const user = await abandoned(store)
        const late = settlement('res_1', {}, { ending: 'released', status: 502 })
        assert.deepEqual((await batch(store, { settlements: [late] })).settlements, ['corrected'])
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 0, reserved: 0 })
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 0)
      }))

    it('does not give back what an administrator has counted out meanwhile', () =>
      withChecked(async (store) => {
        const user = await abandoned(store)
        const edit = { quotaUsed: { claude: 3 } }
        await store.users.writeUsers([{ ref: { id: user.id }, edit }], by(now + 2000))
        await batch(store, { now: now + 3000, settlements: [settlement('res_1', { output: 5 })] })
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 5, reserved: 0 })
      }))

    it('leaves a period alone that is over', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 1000, { limits: { period: 'hourly' } })
        await batch(store, { asks: [{ ...ask('res_1', user.accessToken), leaseUntil: now + 1000 }] })
        await store.metering.abandonEntries(now + 1000, silentMs)
        const later = now + 3_600_000
        await batch(store, { now: later, settlements: [settlement('res_1', { output: 8 })] })
        assert.deepEqual(await quotaOf(store, user.id, later), { limit: 1000, used: 8, reserved: 0 })
      }))
  })

  describe(`usage events on ${name}`, () => {
    it('are counted once, whoever sends them how often', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000)
        const send = () => batch(store, { events: [usageEvent('a', user.id, { input: 3, output: 4 })] })
        const answers = await Promise.all(Array.from({ length: 20 }, send))
        const outcomes = answers.flatMap(({ events }) => events)
        assert.equal(outcomes.filter((outcome) => outcome === 'counted').length, 1)
        assert.equal(outcomes.filter((outcome) => outcome === 'repeated').length, 19)
        const twice = await batch(store, { events: [usageEvent('b', user.id), usageEvent('b', user.id)] })
        assert.deepEqual(twice.events, ['counted', 'repeated'])
        assert.deepEqual((await batch(store, { events: [usageEvent('c', 'usr_nobody')] })).events, [
          'unknown_user',
        ])
        assert.deepEqual(await quotaOf(store, user.id), { used: 7, reserved: 0, limit: 1000 })
        assert.deepEqual(await usageOf(database), { requests: 2, estimated: 0, units: 7 })
      }))
  })

  describe(`asking without asking for units on ${name}`, () => {
    it('changes nothing when it is dry', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000, { limits: { requestsPerMinute: 1, maxIps: 1 } })
        const dry = { ...ask('a', user.accessToken), isDry: true }
        for (let time = 0; time < 3; time++) {
          const { asks } = await batch(store, { asks: [dry] })
          assert.equal(asks[0]?.kind, 'admitted')
        }
        assert.deepEqual(await database.rows('select * from entries'), [])
        assert.deepEqual(await database.rows('select * from addresses'), [])
        assert.equal((await batch(store, { asks: [ask('b', user.accessToken)] })).asks[0]?.kind, 'admitted')
        const { asks } = await batch(store, { asks: [dry] })
        assert.equal(asks[0]?.kind === 'refused' && asks[0].code, 'rate_limited')
      }))

    it('counts a pass towards the rate, and refuses it where the quota is used up', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 50, { limits: { requestsPerMinute: 2 } })
        const { units: _, ...rest } = ask('a', user.accessToken)
        const pass = { ...rest, pass: { model: 'claude-x', family: 'claude' } }
        const codes = async () => {
          const { asks } = await batch(store, { asks: [pass] })
          return asks[0]?.kind === 'refused' ? asks[0].code : asks[0]?.kind
        }
        assert.equal(await codes(), 'admitted')
        assert.equal(await codes(), 'admitted')
        assert.equal(await codes(), 'rate_limited')
        assert.deepEqual(await database.rows('select * from entries'), [])
        await batch(store, { events: [usageEvent('a', user.id, { output: 50 })] })
        const other = { ...pass, pass: {} }
        const later = { now: now + 60_000, asks: [pass, other] }
        const { asks } = await store.metering.runBatch({ settlements: [], ...later })
        assert.deepEqual(
          asks.map((one) => (one.kind === 'refused' ? one.code : one.kind)),
          ['quota_exceeded', 'admitted'],
        )
      }))
  })

  describe(`addresses on ${name}`, () => {
    const from = (store: Store, user: { accessToken: string }, address: string, at: number) =>
      store.metering.runBatch({
        now: at,
        settlements: [],
        asks: [
          { requestId: 'x', accessToken: user.accessToken, address, route: '/v1/models', isMetered: false },
        ],
      })
    const codeOf = ({ asks: [outcome] }: MeteringAnswer) =>
      outcome?.kind === 'refused' ? outcome.code : outcome?.kind

    it('are forgotten when their window has passed', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 0, { limits: { maxIps: 1, ipWindowDays: 2 } })
        const day = 86_400_000
        assert.equal(codeOf(await from(store, user, '192.0.2.1', now)), 'admitted')
        assert.equal(codeOf(await from(store, user, '192.0.2.2', now + day)), 'address_limit')
        assert.equal(codeOf(await from(store, user, '192.0.2.1', now + day)), 'admitted')
        assert.equal(codeOf(await from(store, user, '192.0.2.2', now + 2 * day + 1)), 'address_limit')
        assert.equal(codeOf(await from(store, user, '192.0.2.2', now + 3 * day + 1)), 'admitted')
        assert.equal(codeOf(await from(store, user, '192.0.2.1', now + 3 * day + 2)), 'address_limit')
      }))

    it('beyond the limit disable the user where that was chosen, also in the same batch', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 0, { limits: { maxIps: 1, ipLimitAction: 'disable' } })
        const question = { accessToken: user.accessToken, route: '/v1/models', isMetered: false }
        const { asks } = await batch(store, {
          asks: ['192.0.2.1', '192.0.2.2', '192.0.2.1'].map((address) => ({
            ...question,
            requestId: address,
            address,
          })),
        })
        assert.deepEqual(
          asks.map((one) => (one.kind === 'refused' ? one.code : one.kind)),
          ['admitted', 'address_limit', 'user_disabled'],
        )
        const found = await store.users.findUser({ id: user.id }, now)
        assert.deepEqual(
          [found?.disabledAt, found?.disabledReason, found?.revision],
          [now, 'IP address limit exceeded', 2],
        )
      }))
  })
}

for (const { name, create } of databases) {
  describe(`the journal on ${name}`, () => {
    const away: MeteringStore = {
      beat: () => Promise.reject(new Error('away')),
      abandonEntries: () => Promise.reject(new Error('away')),
      renewLease: () => Promise.reject(new Error('away')),
      runBatch: () => Promise.reject(new Error('away')),
    }

    it('keeps what the store cannot take, and books it with the next start', () =>
      withStore(create, async (store, database) => {
        await withFolder(async (folder) => {
          const path = join(folder, 'journal')
          const user = await newUser(store, 1000)
          await store.metering.runBatch({
            now,
            settlements: [],
            asks: [ask('r1', user.accessToken), ask('r2', user.accessToken)],
          })
          const ledger = openLedger(away, () => now, { journal: openJournal(path) })
          const outcomes = await Promise.all([
            ledger.settle(settlement('r1', { output: 3 })),
            ledger.settle(settlement('r2', { output: 4 })),
          ])
          assert.deepEqual(outcomes, ['kept', 'kept'])
          await ledger.close()
          // The process was killed in the middle of writing a third.
          writeFileSync(path, '{"requestId":"r3","endi', { flag: 'a' })
          assert.deepEqual(await replayJournal(path, store.metering, () => now), {
            settlements: 2,
            unreadable: 1,
          })
          assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 7, reserved: 0 })
          assert.deepEqual(await replayJournal(path, store.metering, () => now), {
            settlements: 0,
            unreadable: 0,
          })
          await assertInvariants(database)
        })
      }))

    it('stays as it is while the store is away at the start as well', () =>
      withFolder(async (folder) => {
        // In a folder that nobody has made, as with a database on a server.
        const path = join(folder, 'data', 'journal')
        const journal = openJournal(path)
        await journal.append([settlement('r1')])
        await journal.close()
        const before = readFileSync(path, 'utf8')
        await assert.rejects(replayJournal(path, away, () => now))
        assert.equal(readFileSync(path, 'utf8'), before)
      }))

    it('is emptied when the store is back, with everything booked once', () =>
      withStore(create, async (store) => {
        await withFolder(async (folder) => {
          const path = join(folder, 'journal')
          const user = await newUser(store, 10_000)
          const ids = Array.from({ length: 60 }, (_, index) => `r${index}`)
          await store.metering.runBatch({
            now,
            settlements: [],
            asks: ids.map((id) => ask(id, user.accessToken)),
          })
          let isAway = true
          const flaky: MeteringStore = {
            ...store.metering,
            runBatch: (part) => (isAway ? Promise.reject(new Error('away')) : store.metering.runBatch(part)),
          }
          const ledger = openLedger(flaky, () => now, { journal: openJournal(path) })
          const settled = ids.map((id) => ledger.settle(settlement(id, { output: 1 })))
          await Promise.all(settled)
          assert.equal(readFileSync(path, 'utf8').trim().split('\n').length, 60, 'each is written down once')
          isAway = false
          await waitUntil(() => readFileSync(path, 'utf8') === '', 'the journal is empty')
          assert.deepEqual(await quotaOf(store, user.id), { limit: 10_000, used: 60, reserved: 0 })
          await ledger.close()
        })
      }))

    it('is not even made where nothing has to be kept', () =>
      withStore(create, async (store) => {
        await withFolder(async (folder) => {
          const path = join(folder, 'journal')
          const user = await newUser(store, 1000)
          const ledger = openLedger(store.metering, () => now, { journal: openJournal(path) })
          await ledger.admit(ask('r1', user.accessToken))
          assert.equal(await ledger.settle(settlement('r1', noUsage)), 'closed')
          await ledger.close()
          assert.equal(existsSync(path), false)
        })
      }))
  })
}

describe('the heartbeat', () => {
  it('gives everybody time to live again after the store was away', async () => {
    const asked: number[] = []
    let isAway = false
    let beats = 0
    const heartbeat = openHeartbeat(
      {
        async beat() {
          beats += 1
          if (isAway) throw new Error('away')
        },
        async abandonEntries(_now, silent) {
          asked.push(silent)
          return 0
        },
      },
      { clock: () => now, everyMs: 5, silentMs: 60 },
    )
    await waitUntil(() => asked.includes(60), 'it looks for the dead')
    assert.equal(asked[0], Number.MAX_SAFE_INTEGER, 'not at once: others may have been cut off as well')
    isAway = true
    const before = beats
    await waitUntil(() => beats > before + 1, 'beats fail')
    asked.length = 0
    isAway = false
    await waitUntil(() => asked.length > 0, 'it beats again')
    assert.equal(asked[0], Number.MAX_SAFE_INTEGER)
    await waitUntil(() => asked.includes(60), 'it looks for the dead again')
    await heartbeat.close()
    const after = beats
    // Nothing happens any more, for as long as six beats take.
    await new Promise((resolve) => setTimeout(resolve, 30))
    assert.equal(beats, after, 'it has stopped')
  })
})
