import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createSortableId } from '#lib/sortable-id.ts'
import { openLedger } from '#metering/batcher.ts'
import { openStore, type StoreSettings } from '#storage/open.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { ask, newUser, now, quotaOf, settlement } from '../metering/questions.ts'
import { by } from '../support/by.ts'
import { owner } from '../support/database-programs.ts'
import { startDatabaseServer } from '../support/database-server.ts'
import { needProgram } from '../support/debian.ts'
import { waitUntil } from '../support/gateway-harness.ts'
import { assertInvariants } from '../support/invariants.ts'
import { createPostgres, databases, type TestDatabase } from '../support/stores.ts'

/** What operators' PostgreSQLs are besides one with its defaults: strict, failed over, only reached by TLS. */
const hasPostgres = databases.some(({ name }) => name === 'PostgreSQL')

type Postgres = TestDatabase & { readonly url: string }

/** What a store over it is opened with, at its URL with these parameters. */
function settingsAt(database: Postgres, parameters: Readonly<Record<string, string>>, instance = 'test') {
  const url = new URL(database.url)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return database.settings({ database: { kind: 'postgres', url: url.href }, instance })
}

async function withPostgres(run: (database: Postgres) => Promise<void>): Promise<void> {
  const database = await createPostgres()
  try {
    await run(database)
  } finally {
    await database.remove()
  }
}

describe('a shared database where every transaction is serializable', { skip: !hasPostgres }, () => {
  const strict = { options: '-c default_transaction_isolation=serializable' }

  it('keeps a quota over two instances, while an administrator edits the user', () =>
    withPostgres(async (database) => {
      const stores = await Promise.all(
        ['one', 'two'].map((instance) => openStore(settingsAt(database, strict, instance))),
      )
      const [first] = stores
      assert.ok(first)
      const user = await newUser(first, 2550)
      const meters = stores.map((store) => openLedger(store.metering, () => now))
      let edits = 0
      let isOver = false
      // An error is told when it is awaited.
      const editing = (async () => {
        for (; !isOver; edits++, await wait(5)) {
          const edit = { nickname: `edit ${edits}` }
          await first.users.writeUsers([{ ref: { id: user.id }, edit }], by(now))
        }
      })()
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const ledger = meters[index % 2] ?? assert.fail()
          const requestId = createSortableId('req_', now)
          const outcome = await ledger.admit(ask(requestId, user.accessToken))
          return { code: outcome.kind === 'refused' ? outcome.code : 'admitted', ledger, requestId }
        }),
      )
      const codes = Map.groupBy(outcomes, ({ code }) => code)
      const admitted = codes.get('admitted') ?? []
      assert.deepEqual([...codes.keys()].toSorted(), ['admitted', 'quota_exceeded'])
      assert.equal(admitted.length, 25)
      assert.deepEqual(await quotaOf(first, user.id), { limit: 2550, used: 0, reserved: 2500 })
      await Promise.all(
        admitted.map(({ ledger, requestId }) => ledger.settle(settlement(requestId, { output: 3 }))),
      )
      isOver = true
      await editing
      assert.ok(edits > 0)
      await Promise.all(meters.map((ledger) => ledger.close()))
      assert.deepEqual(await quotaOf(first, user.id), { limit: 2550, used: 75, reserved: 0 })
      await Promise.all(stores.map((store) => store.close()))
      await assertInvariants(database)
      const [{ conflicts } = {}] = await database.rows(
        'select xact_rollback as conflicts from pg_stat_database where datname = current_database()',
      )
      assert.ok(Number(conflicts) > 0, 'some stood in each other’s way')
    }))
})

describe('a shared database that fails over', { skip: !hasPostgres }, () => {
  it('lets go of a server that only reads now, and goes on at the one that writes', () =>
    withPostgres(async (database) => {
      const store = await openStore(database.settings())
      const user = await newUser(store, 1000)
      const batch = (id: string) => ({ now, settlements: [], asks: [ask(id, user.accessToken)] })
      await store.metering.runBatch(batch('r1'))
      const name = new URL(database.url).pathname.slice(1)
      // Every connection breaks, as when the server is gone; what is found at the address only reads at first.
      await database.change(`alter database ${name} set default_transaction_read_only = on`)
      await database.rows(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      )
      for (const id of ['r2', 'r3'])
        await assert.rejects(store.metering.runBatch(batch(id)), StoreUnavailable)
      await assert.rejects(
        store.users.writeUsers([{ ref: { id: user.id }, edit: { nickname: 'x' } }], by(now)),
        StoreUnavailable,
      )
      await database.change(
        `begin read write; alter database ${name} reset default_transaction_read_only; commit`,
      )
      await store.metering.runBatch(batch('r4'))
      await waitUntil(async () => {
        const written = store.users.writeUsers([{ ref: { id: user.id }, edit: { nickname: 'x' } }], by(now))
        return written.then(
          () => true,
          () => false,
        )
      }, 'an administrator writes again')
      const closed = ['r1', 'r4'].map((id) => settlement(id, { output: 5 }))
      await store.metering.runBatch({ now, settlements: closed, asks: [] })
      assert.deepEqual(await quotaOf(store, user.id), { limit: 1000, used: 10, reserved: 0 })
      await store.close()
      await assertInvariants(database)
    }))
})

describe('a shared database that is reached by TLS', { skip: !hasPostgres }, () => {
  it('is trusted by its certificate alone, on every connection', async () => {
    const openssl = needProgram('openssl')
    const server = await startDatabaseServer()
    try {
      const [key, certificate] = ['server.key', 'server.crt'].map((name) => join(server.folder, 'data', name))
      assert.ok(key && certificate)
      execFileSync(
        openssl,
        [
          ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
          ...['-days', '2', '-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'],
          ...['-keyout', key, '-out', certificate],
        ],
        { stdio: 'pipe' },
      )
      const { uid, gid } = owner
      if (uid !== undefined && gid !== undefined)
        for (const path of [key, certificate]) chownSync(path, uid, gid)
      const database = await createPostgres(server.urlOf('postgres'))
      await database.change('alter system set ssl = on')
      await database.rows('select pg_reload_conf()')
      await waitUntil(async () => (await database.rows('show ssl'))[0]?.ssl === 'on', 'the server has TLS')

      const trusting = { sslmode: 'verify-full', sslrootcert: certificate }
      const store = await openStore(settingsAt(database, trusting))
      const user = await newUser(store, 1000)
      const stopWatching = store.watchChanges(() => undefined)
      await store.metering.runBatch({ now, settlements: [], asks: [ask('r1', user.accessToken)] })
      const connections = () =>
        database.rows(
          "select application_name as name, ssl from pg_stat_activity join pg_stat_ssl using (pid) where application_name like 'tollgate%'",
        )
      await waitUntil(async () => (await connections()).length >= 3, 'it listens, meters and manages')
      for (const { name, ssl } of await connections()) assert.equal(ssl, true, String(name))
      stopWatching()
      await store.close()

      const refused = async (settings: StoreSettings, why: RegExp) =>
        assert.rejects(openStore(settings), (error: Error) => {
          assert.match(error.message, why)
          assert.match(error.message, /^DATABASE_URL: /)
          return true
        })
      await refused(settingsAt(database, { sslmode: 'verify-full' }), /self-signed certificate/)
      const elsewhere = settingsAt(database, trusting)
      assert.ok(elsewhere.database.kind === 'postgres')
      const url = elsewhere.database.url.replace('127.0.0.1', 'localhost')
      await refused({ ...elsewhere, database: { kind: 'postgres', url } }, /localhost|altnames/)
      await database.remove()
    } finally {
      await server.stop()
    }
  })
})
