import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { UsageBeside } from '#core/settlement.ts'
import { unitsMax } from '#core/units.ts'
import { noUsage } from '#core/usage.ts'
import { openLedger } from '#metering/batcher.ts'
import { openJournal, replayJournal } from '#metering/journal.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { type Store, StoreUnavailable } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { withFolder } from '../support/folder.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement } from './questions.ts'

/** What a request used of another family is booked beside it, as often as the request itself: once. */
const output = (family: string, model: string, units: number): UsageBeside => ({
  ...{ family, model },
  usage: { ...noUsage, output: units },
})
const beside = [output('gpt4', 'gpt-4o', 30), output('turbo', 'gpt-4o-mini', 7)]
const usedOf = async (store: Store, id: string) => {
  const quotas = (await store.users.findUser({ id }, now))?.quotas
  return ['claude', 'gpt4', 'turbo'].map((family) => quotas?.get(family)?.used ?? 0)
}
const entriesOf = async (database: TestDatabase) =>
  (
    await database.rows(
      `select id, family, model, route, state, units, upstream from entries where kind = 'metered' order by id`,
    )
  ).map((row) => ({ ...row }))

for (const { name, create } of databases) {
  const batch = (store: Store, part: Partial<Parameters<MeteringStore['runBatch']>[0]>) =>
    store.metering.runBatch({ now, settlements: [], asks: [], ...part })
  const withChecked = (run: (store: Store, database: TestDatabase) => Promise<void>) =>
    withStore(create, async (store, database) => {
      await run(store, database)
      await assertInvariants(database)
    })

  describe(`usage of other families on ${name}`, () => {
    it('is an entry for each, of one request and one prompt', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000)
        const ledger = openLedger(store.metering, () => now)
        await ledger.admit(ask('req_1', user.accessToken))
        const settled = settlement('req_1', { output: 4 }, { beside, upstream: 'router' })
        assert.equal(await ledger.settle(settled), 'closed')
        assert.equal(await ledger.settle(settled), 'repeated')
        await ledger.close()
        const shared = { route: '/v1/messages', state: 'settled', upstream: 'router' }
        assert.deepEqual(await entriesOf(database), [
          { ...shared, id: 'req_1', family: 'claude', model: 'claude-x', units: 4 },
          { ...shared, id: 'req_1.1', family: 'gpt4', model: 'gpt-4o', units: 30 },
          { ...shared, id: 'req_1.2', family: 'turbo', model: 'gpt-4o-mini', units: 7 },
        ])
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 4, reserved: 0 })
        assert.deepEqual(await usedOf(store, user.id), [4, 30, 7])
        assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 1)
        for (const table of ['usage_minutes', 'total_minutes', 'total_hours']) {
          const rows = await database.rows(`select family, requests, output from ${table} order by family`)
          assert.deepEqual(
            rows.map((row) => ({ ...row })),
            [
              { family: 'claude', requests: 1, output: 4 },
              { family: 'gpt4', requests: 0, output: 30 },
              { family: 'turbo', requests: 0, output: 7 },
            ],
            table,
          )
        }
      }))

    it('stays the same when a period is counted anew from the ledger', () =>
      withChecked(async (store) => {
        const user = await newUser(store, 1000)
        await batch(store, { asks: [ask('req_1', user.accessToken)] })
        await batch(store, { settlements: [settlement('req_1', { output: 4 }, { beside })] })
        const edit = { limits: { period: 'monthly' as const } }
        await store.users.writeUsers([{ ref: { id: user.id }, edit }], by(now))
        assert.deepEqual(await usedOf(store, user.id), [4, 30, 7])
      }))

    it('is not booked where nothing was charged, nor twice where a settlement comes late', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000)
        await batch(store, { asks: [ask('req_1', user.accessToken), ask('req_2', user.accessToken)] })
        const released = settlement('req_1', {}, { beside, ending: 'released' })
        const abandoned = settlement('req_2', {}, { beside, ending: 'abandoned' })
        await batch(store, { settlements: [released, abandoned] })
        assert.equal((await entriesOf(database)).length, 2)
        const late = settlement('req_2', { output: 4 }, { beside })
        const answers = [
          ...(await batch(store, { settlements: [late, late] })).settlements,
          ...(await batch(store, { settlements: [late] })).settlements,
        ]
        assert.deepEqual(answers, ['corrected', 'repeated', 'repeated'])
        assert.deepEqual(await usedOf(store, user.id), [4, 30, 7])
      }))

    it('is bounded, and of a user who is gone is in the totals', () =>
      withChecked(async (store, database) => {
        const user = await newUser(store, 1000)
        await batch(store, { asks: [ask('req_1', user.accessToken)] })
        const absurd = { ...noUsage, input: unitsMax * 1e6, output: -5, reasoning: Number.NaN }
        const settled = settlement(
          'req_1',
          {},
          { beside: [{ ...output('gpt4', 'gpt-4o', 0), usage: absurd }] },
        )
        await batch(store, { settlements: [settled] })
        const [, used = 0] = await usedOf(store, user.id)
        assert.ok(Number.isSafeInteger(used) && used > 0, String(used))
        await batch(store, { asks: [ask('req_2', user.accessToken)] })
        await database.change(`delete from quotas where user_id = '${user.id}'`)
        await database.change(`delete from users where id = '${user.id}'`)
        await batch(store, { settlements: [settlement('req_2', { output: 4 }, { beside })] })
        const [row] = await database.rows(
          "select sum(output) as output from total_hours where family = 'turbo'",
        )
        assert.equal(row?.output, 7)
      }))

    it('survives the store and the process in the journal', () =>
      withFolder((folder) =>
        withChecked(async (store) => {
          const user = await newUser(store, 1000)
          await batch(store, { asks: [ask('req_1', user.accessToken)] })
          const journal = openJournal(join(folder, 'journal'))
          const away: MeteringStore = {
            ...store.metering,
            runBatch: () => Promise.reject(new StoreUnavailable(new Error('away'))),
          }
          const ledger = openLedger(away, () => now, { journal })
          assert.equal(await ledger.settle(settlement('req_1', { output: 4 }, { beside })), 'kept')
          await ledger.close()
          await replayJournal(join(folder, 'journal'), store.metering, () => now)
          await replayJournal(join(folder, 'journal'), store.metering, () => now)
          assert.deepEqual(await usedOf(store, user.id), [4, 30, 7])
        }),
      ))
  })
}
