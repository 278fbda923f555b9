import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openStore } from '#storage/open.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { startCut } from '../support/cut.ts'
import { createPostgres } from '../support/stores.ts'

/** Whoever stops an instance wants it to end, also while nobody at the other end says a word. */
const closedWithinMs = 10_000

describe('a store on PostgreSQL', {
  concurrency: true,
  skip: process.env.TEST_DATABASES === 'sqlite',
}, () => {
  for (const mode of ['silent', 'unanswered', 'reset'] as const)
    it(`closes while the network to it is ${mode}`, async () => {
      const database = await createPostgres()
      const cut = await startCut(Number(new URL(database.url).port))
      const store = await openStore(
        database.settings({ database: { kind: 'postgres', url: cut.through(database.url) } }),
      )
      try {
        const nothing = { now: 1, settlements: [], asks: [] }
        const stop = store.watchChanges(() => {})
        // Every connection that there can be, each used before.
        await Promise.all(Array.from({ length: 10 }, () => store.users.countUsers({}, 1)))
        await Promise.all([store.metering.runBatch(nothing), store.metering.runBatch(nothing)])
        await cut.cut(mode)
        await assert.rejects(store.metering.runBatch(nothing), StoreUnavailable)
        const begin = performance.now()
        stop()
        await store.close()
        assert.ok(performance.now() - begin < closedWithinMs)
      } finally {
        await cut.heal()
        await cut.close()
        await database.remove()
      }
    })
})
