import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openLedger } from '#metering/batcher.ts'
import { openJournal, replayJournal } from '#metering/journal.ts'
import type { RecoveringLedger } from '#metering/ledger.ts'
import { createRecovery } from '#metering/recovery.ts'
import { type Store, StoreUnavailable } from '#storage/store.ts'
import { withFolder } from '../support/folder.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement } from './questions.ts'

/**
 * A database that has lost its latest transactions, as a standby may that took over: here its rows are put back to
 * what they were before.
 */
interface World {
  readonly store: Store
  readonly database: TestDatabase
  readonly ledger: RecoveringLedger
  readonly user: { readonly id: string; readonly accessToken: string }
}

const rewound = {
  entries: `update entries set state = 'open', units = 0, input = 0, output = 0, status = null, ended_at = null`,
  quotas: 'update quotas set used = 0, reserved = 100, open_requests = 1',
  users: 'update users set prompt_count = 0, last_used_at = null',
  minutes: 'delete from usage_minutes',
  totalMinutes: 'delete from total_minutes',
  totalHours: 'delete from total_hours',
}
const none = {
  ...rewound,
  entries: 'delete from entries',
  quotas: 'update quotas set used = 0, reserved = 0, open_requests = 0',
}

async function lose({ database }: World, tail: Readonly<Record<string, string>>): Promise<void> {
  for (const statement of Object.values(tail)) await database.change(statement)
}

async function assertBooked({ store, database, user }: World, used: number): Promise<void> {
  assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used, reserved: 0 })
  assert.equal((await store.users.findUser({ id: user.id }, now))?.promptCount, 1)
  const rows = await database.rows('select sum(requests) as requests, sum(output) as output from total_hours')
  assert.deepEqual([rows[0]?.requests, rows[0]?.output], [1, used])
  const entries = await database.rows(
    'select kind, route, family, model, state, units, started_at from entries',
  )
  const expected = { kind: 'metered', route: '/v1/messages', family: 'claude', model: 'claude-x' }
  assert.deepEqual(
    entries.map((row) => ({ ...row })),
    [{ ...expected, state: 'settled', units: used, started_at: now }],
  )
  await assertInvariants(database)
}

for (const { name, create } of databases) {
  const withWorld = (run: (world: World) => Promise<void>) =>
    withStore(create, async (store, database) => {
      // No SQLite database loses anything by itself while its process lives; here it is made to.
      const ledger = openLedger({ ...store.metering, mayLoseBooked: true }, () => now)
      await run({ store, database, ledger, user: await newUser(store, 1000) })
      await ledger.close()
    })
  const again = async ({ store, ledger }: World) => ledger.settleAgain(await store.metering.openEntries())

  describe(`after the latest transactions were lost on ${name}`, () => {
    it('an entry that is open again is settled again', () =>
      withWorld(async (world) => {
        const { ledger, user } = world
        await ledger.admit(ask('r1', user.accessToken))
        await ledger.settle(settlement('r1', { output: 7 }))
        await lose(world, rewound)
        assert.equal(await again(world), 1)
        await ledger.close()
        await assertBooked(world, 7)
        assert.equal(await again(world), 0)
      }))

    it('a settlement whose entry is gone is booked as a new one, once', () =>
      withWorld(async (world) => {
        const { ledger, user } = world
        await ledger.admit(ask('r1', user.accessToken))
        await lose(world, none)
        assert.equal(await ledger.settle(settlement('r1', { output: 7 })), 'closed')
        assert.equal(await ledger.settle(settlement('r1', { output: 7 })), 'repeated')
        await assertBooked(world, 7)
      }))

    it('a settlement whose entry is gone is booked by the next process as well', () =>
      withWorld(async (world) => {
        const { store, ledger: first, user } = world
        await withFolder(async (folder) => {
          let isAway = false
          const flaky = {
            ...store.metering,
            runBatch: (batch: Parameters<Store['metering']['runBatch']>[0]) =>
              isAway
                ? Promise.reject(new StoreUnavailable(new Error('away')))
                : store.metering.runBatch(batch),
          }
          const path = join(folder, 'journal')
          const ledger = openLedger(flaky, () => now, { journal: openJournal(path) })
          await ledger.admit(ask('r1', user.accessToken))
          isAway = true
          assert.equal(await ledger.settle(settlement('r1', { output: 7 })), 'kept')
          await ledger.close()
          await lose(world, none)
          await replayJournal(path, store.metering, () => now)
          await assertBooked(world, 7)
          await first.close()
        })
      }))

    it('what was admitted and settled in them is booked again where another server has taken over', () =>
      withWorld(async (world) => {
        const { store, ledger, user } = world
        let history: string | undefined = '00000001'
        const warnings: string[] = []
        const recover = createRecovery(
          { openEntries: store.metering.openEntries, history: async () => history },
          ledger,
          { warn: (_, message) => warnings.push(message) },
        )
        await recover()
        await ledger.admit(ask('r1', user.accessToken))
        await ledger.settle(settlement('r1', { output: 7 }))
        await lose(world, none)
        await recover()
        assert.deepEqual(warnings, [])
        history = '00000002'
        await recover()
        assert.equal(warnings.length, 1)
        await ledger.close()
        await assertBooked(world, 7)
      }))

    it('a request that runs is left alone, and one of which nothing is known is charged its estimate', () =>
      withWorld(async (world) => {
        const { store, database, ledger, user } = world
        await ledger.admit(ask('r1', user.accessToken))
        assert.equal(await again(world), 0)
        await store.metering.runBatch({ now, settlements: [], asks: [ask('r2', user.accessToken)] })
        assert.equal(await again(world), 1)
        assert.equal(await ledger.settle(settlement('r1', { output: 7 })), 'closed')
        await ledger.close()
        assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 17, reserved: 0 })
        await assertInvariants(database)
      }))

    it('nothing is booked for what was never admitted, as far as anything says so', () =>
      withWorld(async (world) => {
        const { store, database, ledger, user } = world
        assert.equal(await ledger.settle(settlement('never', { output: 7 })), 'unknown')
        // Admitted two days ago: its entry may have been removed since, as closed ones are.
        const opened = { userId: user.id, route: '/v1/messages', family: 'claude', model: 'claude-x' }
        const more = { isMetered: true, inputEstimate: 1, startedAt: now - 2 * 86_400_000 }
        const late = settlement('old', { output: 7 }, { opened: { ...opened, ...more } })
        const gone = settlement(
          'gone',
          { output: 7 },
          { opened: { ...late.opened, ...opened, ...more, userId: 'usr_x', startedAt: now } },
        )
        const { settlements } = await store.metering.runBatch({ now, settlements: [late, gone], asks: [] })
        assert.deepEqual(settlements, ['unknown', 'unknown'])
        assert.deepEqual(await database.rows('select id from entries'), [])
        assert.equal(await again(world), 0)
        await assertInvariants(database)
      }))

    it('a reservation of another gateway is booked where this process made it, and left to its lease', () =>
      withWorld(async (world) => {
        const { store, database, ledger, user } = world
        const leased = (id: string) => ({ ...ask(id, user.accessToken), leaseUntil: now + 60_000 })
        await ledger.admit(leased('res_1'))
        await store.metering.runBatch({ now, settlements: [], asks: [leased('res_2')] })
        assert.equal(await again(world), 0)
        await lose(world, none)
        assert.equal(await ledger.settle(settlement('res_1', { output: 7 })), 'closed')
        assert.equal(await ledger.settle(settlement('res_2', { output: 7 })), 'unknown')
        await assertBooked(world, 7)
        assert.equal((await database.rows('select id from entries')).length, 1)
      }))
  })
}
