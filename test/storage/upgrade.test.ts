import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { createVault } from '#core/vault.ts'
import { openStore } from '#storage/open.ts'
import { foundation } from '#storage/schema/migrations/0001-foundation.ts'
import { by } from '../support/by.ts'
import { assertInvariants } from '../support/invariants.ts'
import { databases } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const hourAt = Date.parse('2026-11-22T11:00:00Z')

/** A database as the first version left it when its process was killed: a user, its usage, a request still open. */
function makeFirstVersion(path: string, masterKey: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  const db = new DatabaseSync(path)
  db.exec('pragma journal_mode = wal')
  for (const statement of foundation.statements)
    db.exec(statement.replace('/* clustered */', 'without rowid'))
  db.exec(
    'create table migrations (number bigint primary key, name text not null, applied_at bigint not null)',
  )
  db.exec("insert into migrations values (1, 'foundation', 0)")
  const vault = createVault({ masterKey })
  db.prepare(
    `insert into users (id, lookup, sealed, shown, search, type, created_at, max_ips) values ('usr_1', ?, ?, '', '', 'normal', ?, 2)`,
  ).run(vault.lookupOf('ann'), vault.seal('ann', 'usr_1'), now)
  db.prepare(
    `insert into users (id, lookup, sealed, shown, search, type, created_at, expires_at) values ('usr_2', ?, ?, '', '', 'temporary', ?, 1)`,
  ).run(vault.lookupOf('tim'), vault.seal('tim', 'usr_2'), now)
  db.exec(`update users set admin_note = 'GRÖSSE 42', meta = '{"team":"blue"}' where id = 'usr_1'`)
  db.exec(`insert into quotas values ('usr_1', 'claude', 1000, 30, 100, 1, 0)`)
  const entry = (id: string, state: string, hold: number, units: number, endedAt: number | null) =>
    db
      .prepare(
        `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, input, units,
           instance, started_at, ended_at) values (?, 'usr_1', 'metered', '/v1/messages', 'claude', 'claude-x', ?, ?, 7, ?, ?, 'old', ?, ?)`,
      )
      .run(id, state, hold, units, units, hourAt, endedAt)
  entry('req_1', 'settled', 50, 30, hourAt)
  entry('req_2', 'open', 100, 0, null)
  db.exec(`insert into usage_hours values ('usr_1', ${hourAt}, 'claude', 'claude-x', 1, 30, 0, 0, 0, 0)`)
  db.close()
}

// The first version knew no other.
for (const { name, create } of databases.filter((each) => each.name === 'SQLite')) {
  it(`takes over what the first version left, on ${name}`, async () => {
    const database = await create()
    const settings = database.settings()
    assert.ok(settings.database.kind === 'sqlite')
    makeFirstVersion(settings.database.path, settings.masterKey)
    const store = await openStore(settings)
    try {
      const found = await store.users.findUser({ accessToken: 'ann' }, now)
      assert.deepEqual(found?.limits, { maxIps: 2 })
      const quota = { limit: 1000, extra: 0, used: 30, reserved: 100, openRequests: 1 }
      assert.deepEqual(found?.quotas.get('claude'), quota)
      assert.equal(await store.metering.abandonEntries(now, 15_000), 1, 'also what left no heartbeat')
      const question = { from: hourAt, to: now + 3_600_000, groupBy: ['family'], limit: 9 } as const
      for (const who of [{}, { userId: 'usr_1' }]) {
        const rows = await store.usage.readUsage({ bucket: 'day', ...question, ...who })
        assert.deepEqual(
          rows.map(({ requests, usage, units }) => [requests, usage.input, units]),
          [[2, 37, 37]],
        )
      }
      const listed = await store.requests.listRequests({ filter: { userId: 'usr_1' }, limit: 5 })
      assert.deepEqual(
        listed.requests.map(({ id }) => id),
        ['req_2', 'req_1'],
      )
      for (const text of ['größe 42'.replace('ß', 'SS').toLowerCase(), 'BLUE'])
        assert.equal(await store.users.countUsers({ text }, now), 1, text)
      // Nothing says when that expiry was written: a moment before, for all that is known.
      const monthAgo = Date.now() - 30 * 86_400_000
      assert.equal(await store.upkeep.purgeUsers(monthAgo, 10, by(Date.now())), 0)
      assert.equal(await store.upkeep.purgeUsers(Date.now() + 1, 10, by(Date.now())), 1)
      await assertInvariants(database)
    } finally {
      await store.close()
      await database.remove()
    }
  })
}
