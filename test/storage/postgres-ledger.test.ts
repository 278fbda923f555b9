import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSortableId } from '#lib/sortable-id.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000
const create = databases.find(({ name }) => name === 'PostgreSQL')?.create

async function ask(store: Store, accessToken: string, changes: { readonly model?: string } = {}) {
  const { model = 'claude-x' } = changes
  const { asks } = await store.metering.runBatch({
    now,
    settlements: [],
    asks: [
      {
        ...{ requestId: createSortableId('req_', now), accessToken, address: '192.0.2.1' },
        ...{ route: '/v1/messages', isMetered: true },
        units: { model, family: 'claude', input: 1, output: 1, choices: 1 },
      },
    ],
  })
  return asks[0] ?? assert.fail('an answer')
}

describe('the ledger on PostgreSQL', { skip: create === undefined }, () => {
  const withPostgres = (run: Parameters<typeof withStore>[1]) =>
    withStore(create ?? (() => assert.fail()), run)

  it('knows a user who was removed and made again with the same access token', () =>
    withPostgres(async (store) => {
      const ref = { accessToken: 'a-token-of-somebody' }
      const expired = { type: 'temporary', expiresAt: now - dayMs } as const
      await store.users.writeUsers([{ ref, edit: expired }], by(now - 2 * dayMs))
      const before = await ask(store, ref.accessToken)
      assert.equal(before.kind, 'refused')
      assert.equal(await store.upkeep.purgeUsers(now, 10, by(now)), 1)
      await store.users.writeUsers([{ ref, edit: { quotaLimits: { claude: 2 } } }], by(now))
      const after = await ask(store, ref.accessToken)
      assert.equal(after.kind, 'admitted')
      assert.notEqual(after.user?.id, before.user?.id)
      assert.equal((await ask(store, ref.accessToken)).kind, 'refused', 'its quota is read as well')
    }))

  it('keeps texts as they are, whatever stands in them', () =>
    withPostgres(async (store, database) => {
      const ref = { accessToken: 'a-token-of-somebody' }
      await store.users.writeUsers([{ ref, edit: {} }], by(now))
      const models = ['NULL', 'null', '', ' ', 'a,b', '{a}', 'a"b', 'a\\b', '\\"', "a'b", 'ü\n€😀', '\t']
      for (const model of models)
        assert.equal((await ask(store, ref.accessToken, { model })).kind, 'admitted')
      const rows = await database.rows('select model from entries order by model')
      assert.deepEqual(rows.map(({ model }) => model).toSorted(), models.toSorted())
    }))
})
