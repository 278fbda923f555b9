import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pg from 'pg'
import { openLedger } from '#metering/batcher.ts'
import { openStore } from '#storage/open.ts'
import type { MeteringStore } from '#storage/store/metering.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { startCut } from '../support/cut.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { createPostgres, testPolicy } from '../support/stores.ts'
import { ask, newUser, now, quotaOf, settlement } from './questions.ts'

/** Nobody waits for ever, and what happened after nobody waited any more is taken back. */
describe('whoever asks the account', { skip: process.env.TEST_DATABASES === 'sqlite' }, () => {
  it('is told in time that it is away, and what was reserved later is released', async () => {
    const database = await createPostgres()
    const store = await openStore(database.settings())
    const user = await newUser(store, 1000)
    const other = await newUser(store, 1000)
    const ledger = openLedger(store.metering, () => now, { deadlineMs: 500 })
    const locker = new pg.Client({ connectionString: database.url })
    await locker.connect()
    await locker.query('begin')
    await locker.query('select 1 from users where id = $1 for update', [user.id])
    const begin = performance.now()
    // The first is in a batch that waits for the lock, the second waits for its turn behind as many as there are.
    const asked = Array.from({ length: 4 }, (_, index) => ledger.admit(ask(`r${index}`, user.accessToken)))
    await Promise.all(asked.map((each) => assert.rejects(each, StoreUnavailable)))
    assert.ok(performance.now() - begin < 1500)
    await locker.query('commit')
    await locker.end()
    assert.equal((await ledger.admit(ask('s1', other.accessToken))).kind, 'admitted')
    await waitUntil(async () => {
      const { reserved = -1 } = (await quotaOf(store, user.id)) ?? {}
      return reserved === 0
    }, 'nothing is reserved')
    await ledger.settle(settlement('s1'))
    await ledger.close()
    const entries = await database.rows("select id, state, error_code from entries where id <> 's1'")
    assert.ok(entries.length > 0, 'some were admitted when nobody waited any more')
    for (const { state, error_code } of entries)
      assert.deepEqual([state, error_code], ['released', 'store_unavailable'])
    await assertInvariants(database)
    await store.close()
    await database.remove()
  })

  it('is told so where the answer to the commit is lost, and what was reserved is released', async () => {
    const database = await createPostgres()
    const cut = await startCut(Number(new URL(database.url).port))
    const url = cut.through(database.url)
    const store = await openStore(
      database.settings({ database: { kind: 'postgres', url }, policy: testPolicy }),
    )
    const user = await newUser(store, 1000)
    const ledger = openLedger(store.metering, () => now, { deadlineMs: 500 })
    await ledger.admit(ask('r1', user.accessToken))
    const heard = cut.cutAfter('commit')
    const asked = assert.rejects(ledger.admit(ask('r2', user.accessToken)), StoreUnavailable)
    await heard
    await asked
    const states = async () =>
      (await database.rows('select id, state from entries order by id')).map(
        ({ id, state }) => `${id} ${state}`,
      )
    assert.deepEqual(await states(), ['r1 open', 'r2 open'])
    // As after a cable was pulled: nothing that was on its way arrives any more.
    await cut.cut('reset')
    await cut.heal()
    await waitUntil(async () => (await states()).includes('r2 released'), 'it is released', 15_000)
    await ledger.settle(settlement('r1'))
    await ledger.close()
    await assertInvariants(database)
    await store.close()
    await cut.close()
    await database.remove()
  })
})

describe('a reservation of which nobody knows whether it was made', () => {
  it('is released until it is known, since it may be made after the store was asked', async () => {
    const outcomes = ['unknown', 'closed', 'never'] as const
    const released: string[] = []
    const store: MeteringStore = {
      beat: async () => {},
      abandonEntries: async () => 0,
      renewLease: async () => 'unknown',
      async runBatch({ asks, settlements }) {
        if (asks.length > 0) throw new StoreUnavailable(new Error('no answer'), { mayHaveHappened: true })
        const outcome = outcomes[released.length] ?? 'never'
        assert.notEqual(outcome, 'never')
        released.push(...settlements.map(({ requestId, ending }) => `${requestId} ${ending}`))
        return {
          settlements: settlements.map(() => (outcome === 'closed' ? 'closed' : 'unknown')),
          events: [],
          asks: [],
          durable: Promise.resolve(),
        }
      },
    }
    const ledger = openLedger(store, () => now)
    await assert.rejects(ledger.admit(ask('r1', 'x')))
    await waitUntil(() => released.length === 2, 'it was asked twice')
    assert.deepEqual(released, ['r1 released', 'r1 released'])
    await ledger.close()
  })
})
