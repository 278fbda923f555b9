import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { createPolicy } from '#core/policy-settings.ts'
import { createVault } from '#core/vault.ts'
import { methodsOf } from '#storage/methods.ts'
import { openStore } from '#storage/open.ts'
import { statements } from '#storage/postgres/statements.ts'
import { createKysely } from '#storage/sqlite/dialect.ts'
import { createSqliteLedger } from '#storage/sqlite/ledger.ts'
import { createSqliteRows } from '#storage/sqlite/many-rows.ts'
import { openBackground } from '#storage/sqlite/threads/background.ts'
import { openWriter, type WriterSettings } from '#storage/sqlite/threads/writer.ts'
import type { Store } from '#storage/store.ts'
import { createTables, storeOf } from '#storage/store-tables.ts'
import { untilNone } from '#storage/upkeep/until-none.ts'
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts'
import { filledUserId, fillPostgres } from '../support/filled-postgres.ts'
import {
  type Asked,
  askChanges,
  askMetering,
  askRequests,
  askUpkeep,
  askUsage,
  askUsers,
  type Known,
  siftRequests,
} from '../support/hot-questions.ts'
import { newUserId } from '../support/ledger.ts'
import { explaining, type Plan, readPlans } from '../support/plans.ts'
import { createPostgres, databases, type TestDatabase, testPolicy } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:34:56Z')
const dayMs = 86_400_000
/** What upkeep takes at once. */
const batchRows = 500
const policy = { ...testPolicy, defaults: { maxIps: 20, ipWindowDays: 30 } }
const isTested = (name: string) => databases.some((database) => database.name === name)

const filling = { users: 100_000, entries: 1_000_000, minutes: 500_000, changes: 1_000_000, now }
const known: Known = {
  now,
  accessTokenAt: (number) => `filled-${number * 791 + 1}`,
  userIdAt: (number) => filledUserId(number * 610 + 7),
}

/** What one statement may look at; with each row that it reads come the pages of an index that lead to it. */
interface Bounds {
  readonly rows: number
  readonly pages: number
}
const pagesOfRow = 5

describe('plans of a database with a million rows, on PostgreSQL', { skip: !isTested('PostgreSQL') }, () => {
  let server: DatabaseServer
  let database: TestDatabase & { readonly url: string }
  let store: Store
  /** Opened and asked while there was nothing yet, so that its plans were made for that. */
  let early: Store
  before(async () => {
    // A server of its own, since what it writes to its log is read.
    server = await startDatabaseServer()
    database = await createPostgres(server.urlOf('postgres'))
    await set(explaining)
    await (await openStore(database.settings())).close()
    // Nobody analyzes anything behind the test's back, which would have plans made anew.
    for (const { tablename } of await database.rows("select * from pg_tables where schemaname = 'public'"))
      await database.change(`alter table ${String(tablename)} set (autovacuum_enabled = off)`)
    await database.change('analyze')
    await set({ plan_cache_mode: 'force_generic_plan' })
    early = await openStore(database.settings({ policy, instance: 'early' }))
    await set({ plan_cache_mode: 'auto' })
    const userId = await newUserId(early, now)
    const user = await early.users.findUser({ id: userId }, now)
    const alone = { now, accessTokenAt: () => user?.accessToken ?? '', userIdAt: () => userId }
    await askMetering(early, alone)
    await askMetering(early, alone)
    await fillPostgres(database.url, Buffer.alloc(32, 7), filling)
  })
  after(async () => {
    await early.close()
    await store.close()
    await server.stop()
  })

  async function set(settings: Readonly<Record<string, string>>): Promise<void> {
    const name = new URL(database.url).pathname.slice(1)
    for (const [setting, value] of Object.entries(settings))
      await database.change(`alter database ${name} set ${setting} = '${value}'`)
  }

  async function plansOf(work: () => Promise<unknown>): Promise<readonly Plan[]> {
    const before = server.log().length
    await work()
    return readPlans(server.log().slice(before))
  }

  function assertBounded(plans: readonly Plan[], bounds: Bounds): void {
    const wrong = plans.filter(
      ({ rowsRead, pages }) => rowsRead > bounds.rows || pages > bounds.pages + pagesOfRow * rowsRead,
    )
    const told = wrong.map(({ statement, rowsRead, pages, steps }) =>
      [`${rowsRead} rows, ${pages} pages: ${statement}`, ...steps].join('\n  '),
    )
    assert.deepEqual(told, [], 'each statement reads what it needs')
  }

  const ofBatch: Bounds = { rows: 200, pages: 600 }

  it('find what a request needs where they were made for empty tables', async () => {
    assertBounded(await plansOf(() => askMetering(early, known)), ofBatch)
  })

  it('find what a request needs, as often as it is asked', async () => {
    await database.change('analyze')
    store = await openStore(database.settings({ policy }))
    const weights = { all: { output: 2 }, families: {} }
    const weighed = await openStore(
      database.settings({ policy: { ...policy, weights }, instance: 'weighed' }),
    )
    const plans = await plansOf(async () => {
      // After five times plans may be kept for whatever is asked.
      for (const each of [store, weighed]) for (let time = 0; time < 8; time++) await askMetering(each, known)
    })
    await weighed.close()
    const ran = new Set(plans.map(({ statement }) => statement))
    for (const [name, text] of Object.entries(statements))
      assert.ok(ran.has(text.replaceAll(/\s+/g, ' ')), `${name} ran`)
    assertBounded(plans, ofBatch)
  })

  it('find a user, a page of users, and what an edit needs', async () => {
    const plans = await plansOf(() => askUsers(store, known))
    assert.ok(plans.length > 50)
    assertBounded(plans, { rows: 400, pages: 1000 })
  })

  it('find the usage of a user and of everybody', async () => {
    const plans = await plansOf(() => askUsage(store, known))
    assert.ok(plans.length > 10)
    assertBounded(plans, { rows: 2000, pages: 200 })
  })

  it('find single requests, newest first', async () => {
    const plans = await plansOf(() => askRequests(store, known))
    assert.ok(plans.length > 20)
    // Open ones are few: an index holds those alone. The newest, some 400 of the cases above, are in no user's list yet,
    // and are read by the key of the ledger.
    assertBounded(plans, { rows: 600, pages: 1000 })
  })

  it('find a page of changes by each filter, and the page behind it', async () => {
    const plans = await plansOf(() => askChanges(store, known))
    assert.ok(plans.length > 25)
    // Some 2,800 are of the last day.
    assertBounded(plans, { rows: 6000, pages: 200 })
  })

  it('look for what no index knows among so many entries', async () => {
    const plans = await plansOf(() => siftRequests(store, known))
    assert.ok(plans.length > 10)
    assertBounded(plans, { rows: 25_000, pages: 6000 })
  })

  it('find what upkeep has to do, piece by piece', async () => {
    await database.change("insert into instances (id, started_at, seen_at) values ('gone', 0, 0)")
    const plans = await plansOf(async () => {
      for (let round = 0; round < 2; round++) {
        const done = await askUpkeep(store, known, batchRows)
        const idle = Object.entries(done).filter(([name, rows]) => rows === 0 && name !== 'abandoned')
        assert.deepEqual(idle, [], 'all of it had something to do')
      }
    })
    // A row of changes is in the trees of six indexes, each some pages deep.
    assertBounded(plans, { rows: 12_000, pages: 8000 })
  })

  it('find it as well where upkeep has come to the middle of a table', async () => {
    const plans = await plansOf(async () => {
      for (let batch = 0; batch < 20; batch++) await store.upkeep.purgeAddresses(now, batchRows)
    })
    assertBounded(plans, { rows: 12_000, pages: 6000 })
  })
})

describe('plans on SQLite', { skip: !isTested('SQLite') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-plans-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('read no table from one end to the other', async (t) => {
    const asked = new Set<string>()
    const { prepare } = DatabaseSync.prototype
    t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, text: string) {
      asked.add(text)
      return prepare.call(this, text)
    })
    const settings = {
      path: join(folder, 'tollgate.db'),
      masterKey: Buffer.alloc(32, 7),
      policy,
      instance: 'test',
    }
    const store = await openInThisThread(settings)
    const userId = await newUserId(store, now)
    const user = await store.users.findUser({ id: userId }, now)
    const alone = { accessTokenAt: () => user?.accessToken ?? '', userIdAt: () => userId }
    // What upkeep finds, from long ago.
    await newUserId(store, now - 50 * dayMs, { type: 'temporary', expiresAt: now - 40 * dayMs })
    await askMetering(store, { ...alone, now: now - 40 * dayMs })
    for (const ask of [askMetering, askUsers, askUsage, askRequests, siftRequests, askChanges])
      await ask(store, { ...alone, now })
    const done = await askUpkeep(store, { ...alone, now }, batchRows)
    assert.deepEqual(
      Object.entries(done).filter(([, rows]) => rows === 0),
      [],
      'upkeep had something to do',
    )
    assert.ok(asked.size > 60, `${asked.size} statements`)
    const db = new DatabaseSync(settings.path)
    const wrong = [...asked].filter((text) => scans(db, text).length > 0)
    assert.deepEqual(
      wrong.map((text) => [text, scans(db, text)]),
      [],
    )
    db.close()
    await store.close()
  })
})

/** What its threads do, where what they ask can be seen. */
async function openInThisThread(settings: WriterSettings): Promise<Asked & Pick<Store, 'close'>> {
  const writer = await openWriter(settings)
  const background = await openBackground(settings)
  const threads = new Map(Object.entries({ ...background, ...writer }))
  const db = new DatabaseSync(settings.path)
  const [vault, policy] = [createVault(settings), createPolicy(settings.policy)]
  const ledger = createSqliteLedger(db, vault, policy, {
    instance: settings.instance,
    onChanges: () => undefined,
  })
  const tables = createTables({
    ...{ db: createKysely(db), many: createSqliteRows(db) },
    ...{ vault, policy, instance: settings.instance },
  })
  const methods = methodsOf(tables, ({ kind, name, run }) => {
    const work = kind === 'reads' ? run : threads.get(name)
    assert.ok(work, `a thread does ${name}`)
    return work
  })
  return {
    ...storeOf(methods),
    metering: {
      ...methods.owners,
      runBatch: async (batch) => ({ ...ledger.runBatch(batch), durable: Promise.resolve() }),
      abandonEntries: (at, silentMs) => untilNone(() => writer.abandonSome(at, silentMs)),
    },
    async close() {
      db.close()
      await background.close()
      await writer.close()
    },
  }
}

/** What is small, or only there within a statement. */
const small = new Set([
  ...['migrations', 'facts', 'instances', 'admin_keys'],
  ...['heads', 'next_ones', 'picked', 'found', 'rolled_up', 'json_each'],
])

/**
 * Steps that read all of a table. Not among them are those that stop in the order of an index, or of the key, when they
 * have enough, and those over an index that holds open entries alone.
 */
function scans(db: DatabaseSync, text: string): readonly string[] {
  const steps = db.prepare(`explain query plan ${text}`).all()
  return steps
    .map(({ detail }) => String(detail))
    .filter((step) => {
      const table = /^SCAN ([a-z_]+)/.exec(step)?.[1]
      const isOrdered = step.includes(' INDEX ') && text.includes(' limit ') && !text.includes('count(*)')
      const isByKey = /^SCAN changes$/.test(step) && / order by "seq"(?: desc)? limit /.test(text)
      const isOverFew = /INDEX entries_(open|leased)$/.test(step)
      return table !== undefined && !small.has(table) && !isOrdered && !isByKey && !isOverFew
    })
}
