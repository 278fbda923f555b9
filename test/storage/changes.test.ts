import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Actor, By } from '#core/change.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const key: Actor = { kind: 'admin_key', id: 'adk_ann', name: 'Ann' }
const by: By = { now, actor: key, requestId: 'req_1', address: '192.0.2.7' }

async function changesIn(database: TestDatabase) {
  const rows = await database.rows('select * from changes order by seq')
  return rows.map((row) => ({
    kind: row.kind,
    object: row.object,
    before: row.fields_before === null ? undefined : JSON.parse(String(row.fields_before)),
    after: row.fields_after === null ? undefined : JSON.parse(String(row.fields_after)),
  }))
}

async function newest(database: TestDatabase) {
  return (await changesIn(database)).at(-1)
}

async function newUser(store: Store, edit = {}) {
  const made = await store.users.insertUser(edit, by)
  return made.kind === 'created' ? made.user : assert.fail(made.kind)
}

for (const { name, create } of databases)
  describe(`changes on ${name}`, () => {
    it('tell who made which user, and no access token', () =>
      withStore(create, async (store, database) => {
        const user = await newUser(store, {
          nickname: 'Zoe',
          quotaLimits: { claude: 5 },
          limits: { maxIps: 3 },
        })
        const [row] = await database.rows('select * from changes')
        assert.partialDeepStrictEqual(
          { ...row, seq: Number(row?.seq), at: Number(row?.at) },
          {
            ...{ seq: 1, at: now, actor_kind: 'admin_key', actor_id: 'adk_ann', actor_name: 'Ann' },
            ...{ kind: 'user.created', object: user.id, fields_before: null },
            ...{ request_id: 'req_1', address: '192.0.2.7' },
          },
        )
        const { after } = (await newest(database)) ?? assert.fail()
        assert.deepEqual(after, {
          ...{ accessToken: `sk-tg-…${user.accessToken.slice(-4)}`, type: 'normal', createdAt: now },
          ...{ nickname: 'Zoe', 'limits.maxIps': 3, 'quotaLimits.claude': 5 },
        })
        assert.doesNotMatch(
          JSON.stringify(await database.rows('select * from changes')),
          new RegExp(user.accessToken),
        )
      }))

    it('tell what was changed and nothing else, once for each user', () =>
      withStore(create, async (store, database) => {
        const { id } = await newUser(store, { nickname: 'Zoe', quotaLimits: { claude: 5, gpt4: 7 } })
        const ref = { id }
        const cases = [
          [{ nickname: 'Zoë' }, 'user.updated', { nickname: 'Zoe' }, { nickname: 'Zoë' }],
          [
            { quotaLimits: { claude: null } },
            'user.updated',
            { 'quotaLimits.claude': 5 },
            { 'quotaLimits.claude': null },
          ],
          [
            { disabledAt: now, disabledReason: 'x' },
            'user.disabled',
            { disabledAt: null, disabledReason: null },
            { disabledAt: now, disabledReason: 'x' },
          ],
          [
            { disabledAt: null },
            'user.enabled',
            { disabledAt: now, disabledReason: 'x' },
            { disabledAt: null, disabledReason: null },
          ],
          [{ quotaUsed: { gpt4: 6 } }, 'user.updated', { 'quotaUsed.gpt4': null }, { 'quotaUsed.gpt4': 6 }],
          [{ quotaExtra: { gpt4: 9 } }, 'quota.added', { 'quotaExtra.gpt4': null }, { 'quotaExtra.gpt4': 9 }],
          [{ quotaReset: 'all' }, 'usage.reset', { 'quotaUsed.gpt4': 6 }, { 'quotaUsed.gpt4': null }],
        ] as const
        for (const [edit, kind, before, after] of cases) {
          const written = await store.users.writeUsers([{ ref, edit }], by)
          assert.equal(written.kind, 'written')
          assert.deepEqual(await newest(database), { kind, object: id, before, after })
        }
        assert.equal((await changesIn(database)).length, 1 + cases.length)
        // The same again changes nothing, nor does a write that is refused.
        await store.users.writeUsers([{ ref, edit: { nickname: 'Zoë', quotaReset: 'all' } }], by)
        await store.users.writeUsers([{ ref, edit: { nickname: 'X' }, expectedRevision: 99 }], by)
        await store.users.writeUsers(
          [
            { ref, edit: { nickname: 'X' } },
            { ref: { id: 'usr_none' }, edit: {} },
          ],
          by,
        )
        assert.equal((await changesIn(database)).length, 1 + cases.length)
        // Two edits of one user in one write are one change.
        const twice = [
          { ref, edit: { nickname: 'A' } },
          { ref, edit: { adminNote: 'B' } },
        ]
        await store.users.writeUsers(twice, by)
        assert.deepEqual(await newest(database), {
          ...{ kind: 'user.updated', object: id },
          ...{ before: { nickname: 'Zoë', adminNote: null }, after: { nickname: 'A', adminNote: 'B' } },
        })
      }))

    it('tell of a user who is disabled, also where the row is damaged', () =>
      withStore(create, async (store, database) => {
        const { id } = await newUser(store)
        await database.change(`update users set type = 'odd', meta = '7' where id = '${id}'`)
        await store.users.disableUser({ id }, 'gone', { ...by, now: now + 1 })
        const change = { kind: 'user.disabled', object: id }
        assert.deepEqual(await newest(database), {
          ...change,
          before: { disabledAt: null, disabledReason: null },
          after: { disabledAt: now + 1, disabledReason: 'gone' },
        })
        await store.users.disableUser({ id }, undefined, { ...by, now: now + 2 })
        await store.users.disableUser({ id }, 'late', { ...by, now: now + 2 })
        assert.deepEqual((await changesIn(database)).slice(2), [
          {
            ...change,
            kind: 'user.updated',
            before: { disabledReason: 'gone' },
            after: { disabledReason: 'late' },
          },
        ])
      }))

    it('tell of resets, of keys and of what upkeep removes', () =>
      withStore(create, async (store, database) => {
        const { id } = await newUser(store, { type: 'temporary', expiresAt: now + 1, nickname: 'T' })
        await store.users.writeUsers([{ ref: { id }, edit: { quotaUsed: { claude: 5, gpt4: 2 } } }], by)
        await store.users.resetUsage({ families: ['claude'], limit: 10 }, by)
        const used = (count: number | null) => ({ 'quotaUsed.claude': count })
        assert.deepEqual(await newest(database), {
          ...{ kind: 'usage.reset', object: id, before: used(5), after: used(null) },
        })
        const secret = 'a-secret-of-an-admin-key'
        const made = await store.adminKeys.insertAdminKey({ name: 'k', secret, scopes: ['verifier'] }, by)
        const fields = { name: 'k', scopes: ['verifier'] }
        const created = { kind: 'admin_key.created', object: made.id, before: undefined, after: fields }
        assert.deepEqual(await newest(database), created)
        await store.adminKeys.deleteAdminKey(made.id, by)
        const deleted = { kind: 'admin_key.deleted', object: made.id, before: fields, after: undefined }
        assert.deepEqual(await newest(database), deleted)
        const upkeep: By = { now: now + 10, actor: { kind: 'upkeep', name: 'expired users' } }
        assert.equal(await store.upkeep.purgeUsers(now + 5, 10, upkeep), 1)
        assert.partialDeepStrictEqual(await newest(database), {
          kind: 'user.removed',
          object: id,
          before: { nickname: 'T' },
        })
        assert.doesNotMatch(JSON.stringify(await database.rows('select * from changes')), new RegExp(secret))
      }))

    it('tell of a user whom a limit disables, and of nothing else that requests do', () =>
      withStore(create, async (store, database) => {
        const { id, accessToken } = await newUser(store, { limits: { maxIps: 1, ipLimitAction: 'disable' } })
        const ask = (requestId: string, address: string) => ({
          ...{ requestId, accessToken, address, route: '/v1/chat/completions', isMetered: true },
          ...{ models: ['gpt-4'], units: { family: 'gpt4', model: 'gpt-4', input: 5, output: 5 } },
        })
        const heard: string[] = []
        const stop = store.watchChanges(() => heard.push('news'))
        const run = (...asks: readonly ReturnType<typeof ask>[]) =>
          store.metering.runBatch({ now: now + 1, settlements: [], asks: asks as never })
        await run(ask('req_a', '192.0.2.1'))
        assert.equal((await changesIn(database)).length, 1)
        const { asks } = await run(ask('req_b', '192.0.2.2'), ask('req_c', '192.0.2.3'))
        assert.deepEqual(
          asks.map(({ kind }) => kind),
          ['refused', 'refused'],
        )
        assert.deepEqual(await newest(database), {
          ...{ kind: 'user.disabled', object: id, before: { disabledAt: null, disabledReason: null } },
          after: { disabledAt: now + 1, disabledReason: 'IP address limit exceeded' },
        })
        const rows = await database.rows('select * from changes where seq > 1')
        assert.equal(rows.length, 1)
        assert.partialDeepStrictEqual(rows[0], {
          ...{ actor_kind: 'limit', request_id: 'req_b', address: '192.0.2.2' },
        })
        stop()
      }))

    it('are read in order from a place, and are lost where that is not there any more', () =>
      withStore(create, async (store, database) => {
        const { changes } = store
        const beginning = await changes.lastChange()
        assert.deepEqual(beginning, { seq: 0, hash: '' })
        const nothing = { kind: 'read', changes: [], place: beginning }
        assert.deepEqual(await changes.readChanges(beginning, 5), nothing)
        const writes = Array.from({ length: 250 }, (_, index) => ({
          ref: { accessToken: `t-${index}` },
          edit: {},
        }))
        await store.users.writeUsers(writes, by)
        let place = beginning
        const seen: number[] = []
        for (;;) {
          const read = await changes.readChanges(place, 60)
          assert.equal(read.kind, 'read')
          if (read.kind !== 'read' || read.changes.length === 0) break
          seen.push(...read.changes.map(({ seq }) => seq))
          place = read.place
        }
        assert.deepEqual(
          seen,
          Array.from({ length: 250 }, (_, index) => index + 1),
        )
        assert.deepEqual(place, await changes.lastChange())
        const other = { ...place, hash: 'another' }
        assert.deepEqual(await changes.readChanges(other, 5), { kind: 'lost', place })
        const ahead = { seq: place.seq + 9, hash: 'x' }
        assert.deepEqual(await changes.readChanges(ahead, 5), { kind: 'lost', place })
        await database.change('delete from changes where seq <= 249')
        assert.deepEqual(await changes.readChanges(beginning, 5), { kind: 'lost', place })
        assert.deepEqual(await changes.readChanges(place, 5), { kind: 'read', changes: [], place })
      }))

    it('fail by no damage of their own', () =>
      withStore(create, async (store, database) => {
        const { id } = await newUser(store)
        await newUser(store)
        const damages = [
          "update change_head set key_encrypted = 'x'",
          'update change_head set seq = 1',
          'delete from change_head',
        ]
        for (const damage of damages) {
          await database.change(damage)
          const { kind } = await store.users.writeUsers([{ ref: { id }, edit: { nickname: damage } }], by)
          assert.equal(kind, 'written', damage)
          assert.equal((await newest(database))?.object, id, damage)
        }
      }))

    it('become visible in their order, whatever writes at once', async () => {
      const database = await create()
      const first = await openStore(database.settings({ instance: 'one' }))
      const isShared = database.settings().database.kind === 'postgres'
      const second = isShared ? await openStore(database.settings({ instance: 'two' })) : first
      try {
        let place = await first.changes.lastChange()
        const seen: number[] = []
        let isDone = false
        const reader = (async () => {
          for (;;) {
            const wasDone = isDone
            await turn()
            const read = await first.changes.readChanges(place, 50)
            assert.equal(read.kind, 'read')
            if (read.kind === 'read') seen.push(...read.changes.map(({ seq }) => seq))
            place = read.place
            if (wasDone && read.kind === 'read' && read.changes.length === 0) return
          }
        })()
        await Promise.all(
          Array.from({ length: 40 }, (_, index) =>
            newUser(index % 2 ? first : second, { nickname: `n${index}` }),
          ),
        )
        isDone = true
        await reader
        assert.deepEqual(
          seen,
          Array.from({ length: 40 }, (_, index) => index + 1),
        )
      } finally {
        if (second !== first) await second.close()
        await first.close()
        await database.remove()
      }
    })
  })
