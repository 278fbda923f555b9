import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import pg from 'pg'
import { createVault } from '#core/vault.ts'
import { openStore } from '#storage/open.ts'
import { foundation } from '#storage/schema/migrations/0001-foundation.ts'
import { metering } from '#storage/schema/migrations/0002-metering.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { withFolder } from '../support/folder.ts'
import { assertInvariants } from '../support/invariants.ts'
import { startProgram } from '../support/process.ts'
import { databases, type TestDatabase } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const instance = 'ins_before'
const sumMax = Number.MAX_SAFE_INTEGER

/** Names, and what a version without bounds has left of each: counts, and a request that still runs. */
const users = [
  { name: 'holds', hold: '9007199254741003', reserved: '9007199254741004' },
  { name: 'holds-twice', hold: '9007199254740992', reserved: '18014398509481984' },
  { name: 'counts', hold: '20', reserved: '20', used: '9007199254740993', prompts: '9007199254740992' },
  { name: 'rounds', reserved: '1', open: 0 },
  { name: 'healthy', hold: '100', reserved: '100', used: '30', prompts: '1' },
]

/** The statements of the version before, and rows as it wrote them. */
function statementsOf(masterKey: Uint8Array): string[] {
  const vault = createVault({ masterKey })
  const made = users.flatMap(({ name, hold, reserved, used = '0', prompts = '0', open }) => {
    const id = `usr_${name}`
    const running = open ?? 1
    const entry = (state: string, more: string) =>
      `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, units, instance,
        started_at, ended_at) values ('req_${name}_${state}', '${id}', 'metered', '/v1/messages', 'claude', 'claude-x',
        '${state}', ${more})`
    return [
      `insert into users (id, lookup, sealed, shown, search, type, created_at, prompt_count) values ('${id}',
        '${vault.lookupOf(name)}', '${vault.seal(name, id)}', '', '', 'normal', ${now}, ${prompts})`,
      `insert into quotas (user_id, family, quota_limit, used, reserved, open_requests, period_started_at)
        values ('${id}', 'claude', null, ${used}, ${reserved}, ${running}, 0)`,
      ...(hold === undefined ? [] : [entry('open', `${hold}, 7, 0, '${instance}', ${now}, null`)]),
      ...(used === '0'
        ? []
        : [entry('settled', `9007199254740999, 7, ${used}, '${instance}', ${now}, ${now}`)]),
    ]
  })
  const usage = "'claude', 'claude-x', '', 200"
  const figures = '1, 0, 0, 0, 0, 9007199254740993, 0'
  return [
    ...[...foundation.statements, ...metering.statements],
    'create table migrations (number bigint not null primary key, name text not null, applied_at bigint not null)',
    "insert into migrations values (1, 'foundation', 0), (2, 'metering', 0)",
    `insert into instances values ('${instance}', 0, 0)`,
    ...made,
    `insert into total_hours (hour_at, family, model, upstream, status, requests, estimated, input, cache_read,
      cache_written, output, reasoning) values (${now}, ${usage}, ${figures})`,
    `insert into usage_minutes (user_id, minute_at, family, model, upstream, status, requests, estimated, input,
      cache_read, cache_written, output, reasoning) values ('usr_counts', ${now}, ${usage}, ${figures})`,
  ]
}

async function makePoisoned(database: TestDatabase): Promise<void> {
  const { database: where, masterKey } = database.settings()
  const statements = statementsOf(masterKey)
  if (where.kind === 'sqlite') {
    mkdirSync(dirname(where.path), { recursive: true })
    const db = new DatabaseSync(where.path)
    for (const statement of statements) db.exec(statement.replace('/* clustered */', 'without rowid'))
    db.close()
    return
  }
  const client = new pg.Client({ connectionString: where.url })
  await client.connect()
  for (const statement of statements)
    await client.query(statement.replaceAll(/\btext\b/g, 'text collate "C"'))
  await client.end()
}

for (const { name, create } of databases) {
  describe(`a ${name} database that a version without bounds has poisoned`, () => {
    const withPoisoned = async (run: (database: TestDatabase) => Promise<void>) => {
      const database = await create()
      try {
        await makePoisoned(database)
        await run(database)
      } finally {
        await database.remove()
      }
    }

    it('is opened, and healed', () =>
      withPoisoned(async (database) => {
        const store = await openStore(database.settings({ instance: 'next' }))
        try {
          await look(store)
        } finally {
          await store.close()
        }
        const quotas = await database.rows('select used, reserved, open_requests from quotas')
        for (const quota of quotas) assert.deepEqual({ ...quota }, { used: 0, reserved: 0, open_requests: 0 })
        assert.equal(quotas.length, users.length)
        const [row] = await database.rows(
          "select output from usage_hours where user_id = 'usr_counts' and status = 200",
        )
        assert.equal(row?.output, sumMax)
        // Its entry says less than what was counted: that is what beyond a number's reach means.
        await database.change("delete from entries where user_id = 'usr_counts'")
        await assertInvariants(database)
      }))

    const look = async (store: Store) => {
      const list = await store.users.listUsers({ limit: 10, now })
      assert.deepEqual(
        list.users.map((user) => [user.accessToken, user.promptCount, user.quotas.get('claude')?.reserved]),
        [
          ['counts', 1e12, 20],
          ['healthy', 1, 100],
          ['holds', 0, 1e12],
          ['holds-twice', 0, 1e12],
          ['rounds', 0, 0],
        ],
      )
      assert.equal(await store.metering.abandonEntries(now, 15_000), 4)
      for (const { id, accessToken } of list.users) {
        const edit = { nickname: accessToken, promptCount: 0, quotaReset: 'all' } as const
        assert.equal((await store.users.writeUsers([{ ref: { id }, edit }], by(now))).kind, 'written')
        await store.users.disableUser({ id }, 'no reason', by(now))
      }
      const question = { bucket: 'hour', from: now, to: now + 1, groupBy: [], limit: 9 } as const
      for (const who of [{}, { userId: 'usr_counts' }])
        assert.equal((await store.usage.readUsage({ ...question, ...who }))[0]?.usage.output, sumMax)
      assert.equal(await store.upkeep.gatherUsage(now + 3_600_000, 500), 5)
    }

    it('is one that the program starts on', () =>
      withPoisoned((database) =>
        withFolder(async (folder) => {
          const env = {
            DATA_DIR: join(folder, 'data'),
            ...database.env,
            PORT: '0',
            ADMIN_KEY: 'a-test-admin-key-1',
          }
          const program = startProgram([], env)
          const url = await program.listening
          const headers = { authorization: 'Bearer a-test-admin-key-1' }
          const answer = await fetch(`${url}/admin/users`, { headers })
          assert.equal(answer.status, 200)
          assert.equal(((await answer.json()) as { count: number }).count, users.length)
          program.process.kill('SIGTERM')
          assert.equal(await program.exit, 0, program.output())
        }),
      ))
  })
}
