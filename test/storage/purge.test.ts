import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { By } from '#core/change.ts'
import { createClaimCode } from '#core/claim.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { frontEndSettings } from '../support/front-end.ts'
import { book, close, newUserId, open } from '../support/ledger.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const hourMs = 3_600_000
const ann: By = { now, actor: { kind: 'admin_key', id: 'adk_1', name: 'key' }, address: '203.0.113.7' }

/** Texts that only the purged user has; none may be left anywhere. */
const person = [
  'Sentinel Nick',
  'sentinel note',
  'sentinel-tag',
  'sentinel meta',
  'sentinel reason',
  '198.51.100.42',
]

/** A user of whom everything is known that can be, with usage, an old token, a kept answer and a bulk run. */
async function fillUser(store: Store): Promise<{ readonly id: string; readonly tokens: readonly string[] }> {
  const edit = {
    nickname: 'Sentinel Nick',
    adminNote: 'a sentinel note',
    tags: ['sentinel-tag'],
    meta: { who: 'sentinel meta' },
    disabledReason: 'sentinel reason',
    addresses: ['198.51.100.42'],
    quotaLimits: { claude: 5_000 },
    limits: { maxIps: 5 },
  }
  const idempotencyKey = { key: 'adk_1:one', fingerprint: 'f' }
  const made = await store.users.insertUser(edit, ann, idempotencyKey)
  if (made.kind !== 'created') assert.fail(made.kind)
  const { id, accessToken } = made.user
  await store.users.writeUsers(
    [{ ref: { id }, edit: { nickname: 'Sentinel Nick 2', tags: ['sentinel-tag', 'b'] } }],
    ann,
  )
  const rotated = await store.users.rotateToken({ id }, now + hourMs, ann)
  if (rotated.kind !== 'rotated') assert.fail(rotated.kind)
  const run = await store.bulk.insertRun({ action: {}, target: {}, actor: 'key', matched: 1 }, ann)
  const undo = [{ path: 'disabledReason', before: 'sentinel reason', after: null }]
  const [user] = (await store.users.listUsers({ limit: 1, now, filter: { ids: [id] } })).users
  await store.users.editBatch([{ ref: { id }, edit: { limits: { maxIps: 6 } } }], ann, {
    ...{ runId: run.id, before: run, state: 'done', progress: run.progress, changes: [{ userId: id, undo }] },
  })
  assert.ok(user)
  return { id, tokens: [accessToken, rotated.user.accessToken] }
}

/** A person whom a front end has named, in a request from the address that is the person's. */
async function askForPerson(store: Store, frontEndId: string): Promise<string> {
  assert.ok(await store.frontEnds.setFrontEnd(frontEndId, frontEndSettings(), { kind: 'none' }, ann))
  const frontEnd: By = { now, actor: { kind: 'front_end', id: frontEndId }, address: '198.51.100.42' }
  const taken = await store.frontEnds.takePerson(frontEndId, { person: 'Sentinel Nick' }, frontEnd)
  return taken.kind === 'taken' ? taken.userId : assert.fail(taken.kind)
}

/** A link that the user has opened, from the address that is the person's. */
async function claimOnce(store: Store, userId: string): Promise<void> {
  const code = createClaimCode()
  const madeWith = { keyId: 'adk_1', secret: 'the-key' }
  await store.adminKeys.insertAdminKey({ name: 'key', scopes: ['admin'], secret: madeWith.secret }, ann)
  await store.claims.insertClaim({ userId, code, expiresAt: now + hourMs, madeWith }, ann)
  const taken = await store.claims.takeClaim(code, { now, address: '198.51.100.42' })
  assert.equal(taken.kind, 'taken')
}

async function bookSome(store: Store, userId: string, count: number, address: string): Promise<void> {
  for (let index = 0; index < count; index++)
    await book(store, {
      ...{ userId, at: now - index * 7 * hourMs, address, upstream: 'anthropic' },
      usage: { input: index, output: 3 },
    })
}

/** Every row of the database, but for what names the file's own state. */
async function dump(database: TestDatabase): Promise<string> {
  const tables = [
    'users',
    'old_tokens',
    'quotas',
    'addresses',
    'user_tags',
    'search_texts',
    'bulk_changes',
    'claims',
    'people',
    'token_digests',
  ]
  const more = [
    'entries',
    'changes',
    'answers',
    'purged_users',
    'usage_minutes',
    'usage_hours',
    'user_requests',
  ]
  const all = await Promise.all([...tables, ...more].map((table) => database.rows(`select * from ${table}`)))
  return JSON.stringify(all, (_, value) => (typeof value === 'bigint' ? Number(value) : value))
}

/** Everything that is a sum: of entries, and of both kinds of roll-ups. */
async function sums(database: TestDatabase, userId: string): Promise<unknown> {
  const figures = 'sum(input) as i, sum(output) as o, count(*) as c'
  const rows = await Promise.all([
    database.rows(`select ${figures}, sum(units) as u from entries where user_id = '${userId}'`),
    ...['usage_minutes', 'usage_hours'].map((table) =>
      database.rows(`select ${figures}, sum(requests) as r from ${table} where user_id = '${userId}'`),
    ),
    ...['total_minutes', 'total_hours'].map((table) =>
      database.rows(`select ${figures}, sum(requests) as r from ${table}`),
    ),
  ])
  return rows.flat().map((row) => Object.values(row).map(Number))
}

async function removeAllTraces(store: Store, id?: string, limit = 500): Promise<number> {
  for (let pieces = 0; ; pieces++) {
    assert.ok(pieces < 1_000, 'it comes to an end')
    if ((await store.upkeep.purgeTraces(id, limit)) === 0) return pieces
  }
}

for (const { name, create } of databases)
  describe(`a purge on ${name}`, () => {
    it('leaves nothing of the person, and every sum', () =>
      withStore(create, async (store, database) => {
        const { id, tokens } = await fillUser(store)
        await claimOnce(store, id)
        const other = await newUserId(store, now, { nickname: 'Other', tags: ['kept'] })
        await bookSome(store, id, 9, '198.51.100.42')
        await bookSome(store, other, 2, '192.0.2.77')
        await store.upkeep.gatherRequests(now - 20 * hourMs, 500)
        await store.users.writeUsers([{ ref: { id }, edit: { quotaUsed: { claude: 77 } } }], ann)
        const before = await sums(database, id)
        const shown = await dump(database)
        for (const text of person) assert.ok(shown.includes(text), `${text} was there`)
        const result = await store.users.purgeUsers([id], by(now + 1))
        assert.deepEqual(result, { kind: 'purged', users: [{ id, purgedAt: now + 1 }] })
        assert.equal(await store.users.findUser({ id }, now), undefined)
        for (const accessToken of tokens) {
          assert.equal(await store.users.knowsAccessToken(accessToken), false)
          assert.equal(await store.users.findUser({ accessToken }, now), undefined)
        }
        // A piece at a time, so that each step to the next place is taken.
        assert.ok((await removeAllTraces(store, undefined, 2)) > 6)
        const left = await dump(database)
        for (const text of person) assert.ok(!left.includes(text), `${text} is gone`)
        for (const token of tokens) assert.ok(!left.includes(token.slice(-4)), 'also the hint of a token')
        for (const text of ['Other', 'kept', '192.0.2.77', id])
          assert.ok(left.includes(text), `${text} stays`)
        assert.deepEqual(await sums(database, id), before)
        assert.equal((await database.rows('select * from answers')).length, 0)
        assert.equal((await database.rows('select * from claims')).length, 0)
        assert.deepEqual(await store.bulk.listUndo((await store.bulk.listRuns(1))[0]?.id ?? '', 5), [
          { userId: id, undo: [] },
        ])
      }))

    it('leaves nothing of a person whom a front end has named', () =>
      withStore(create, async (store, database) => {
        const frontEndId = await newUserId(store, now, { nickname: 'Portal' })
        const id = await askForPerson(store, frontEndId)
        const before = await dump(database)
        for (const text of ['Sentinel Nick', '198.51.100.42']) assert.ok(before.includes(text), text)
        assert.equal((await store.users.purgeUsers([id], by(now + 1))).kind, 'purged')
        await removeAllTraces(store)
        const left = await dump(database)
        for (const text of ['Sentinel Nick', '198.51.100.42'])
          assert.ok(!left.includes(text), `${text} is gone`)
        assert.equal((await store.changes.checkChain()).kind, 'intact')
        const again = await askForPerson(store, frontEndId)
        assert.notEqual(again, id, 'a person who asks again is another user')
      }))

    it('keeps the chain of changes, and shows a row that was altered before or after', () =>
      withStore(create, async (store, database) => {
        const { id } = await fillUser(store)
        const { changes } = await store.changes.listChanges({ filter: {}, limit: 99 })
        await store.users.purgeUsers([id], by(now))
        const kinds = changes.map(({ kind }) => kind).toReversed()
        await removeAllTraces(store)
        const after = (await store.changes.listChanges({ filter: { object: id }, limit: 99 })).changes
        const ofUser = kinds.filter((kind) => kind.startsWith('user.'))
        assert.deepEqual(after.map(({ kind }) => kind).toReversed(), [...ofUser, 'user.purged'])
        const created = after.at(-1)
        assert.deepEqual(
          [
            created?.after?.nickname,
            created?.after?.['limits.maxIps'],
            created?.address,
            created?.actor.name,
          ],
          ['[purged]', 5, '203.0.113.7', 'key'],
        )
        const count = kinds.length + 1
        const intact = { kind: 'intact', count, first: 1, last: count, redacted: 3 }
        assert.deepEqual(await store.changes.checkChain(), intact)
        await newUserId(store, now)
        await database.change('create table kept as select * from changes')
        for (const [statement, what] of [
          [`update changes set fields_after = '{"nickname":"Bob"}' where seq = 1`, 'altered'],
          [`update changes set redaction = null where seq = 2`, 'altered'],
          [`update changes set redaction = 'x' where seq = ${count}`, 'altered'],
          [`update changes set hash = (select hash from changes where seq = 2) where seq = 1`, 'altered'],
        ] as const) {
          await database.change(statement)
          const checked = await store.changes.checkChain()
          assert.ok(checked.kind === 'broken' && checked.what === what, statement)
          await database.change('delete from changes')
          await database.change('insert into changes select * from kept')
          assert.equal((await store.changes.checkChain()).kind, 'intact')
        }
      }))

    it('covers up no change that was altered before', () =>
      withStore(create, async (store, database) => {
        const { id } = await fillUser(store)
        await database.change(
          `update changes set fields_after = '{"nickname":"Sentinel Forged"}' where seq = 2`,
        )
        await store.users.purgeUsers([id], by(now))
        await removeAllTraces(store)
        assert.ok(!(await dump(database)).includes('Forged'))
        assert.deepEqual(await store.changes.checkChain(), { kind: 'broken', seq: 2, what: 'altered' })
      }))

    it('goes on behind what upkeep has removed of the changes', () =>
      withStore(create, async (store) => {
        await newUserId(store, now - 9 * hourMs)
        await newUserId(store, now - 8 * hourMs)
        const { id } = await fillUser(store)
        assert.equal(await store.upkeep.purgeChanges(now - hourMs, 50), 2)
        await store.users.purgeUsers([id], by(now))
        await removeAllTraces(store)
        const checked = await store.changes.checkChain()
        assert.ok(checked.kind === 'intact' && checked.first === 3 && checked.redacted === 3)
      }))

    it('waits for requests that run, which are settled on the user', () =>
      withStore(create, async (store, database) => {
        const userId = await newUserId(store, now, { nickname: 'Sentinel Nick' })
        const idle = await newUserId(store, now)
        const requestId = await open(store, { userId, at: now })
        const refused = { kind: 'running', index: 1 }
        assert.deepEqual(await store.users.purgeUsers([idle, userId], by(now)), refused)
        assert.ok(await store.users.findUser({ id: idle }, now), 'nothing was done for the others either')
        await close(store, requestId, { userId, at: now, usage: { output: 5 } })
        assert.equal((await store.users.purgeUsers([idle, userId], by(now))).kind, 'purged')
        const rows = await database.rows(`select state, units from entries where user_id = '${userId}'`)
        assert.deepEqual(
          rows.map((row) => [row.state, Number(row.units)]),
          [['settled', 5]],
        )
        // What no process runs any more does not stand in the way, however the quota looks.
        const third = await newUserId(store, now)
        await book(store, { userId: third, at: now })
        await database.change(`update quotas set reserved = 7, open_requests = 3 where user_id = '${third}'`)
        assert.equal((await store.users.purgeUsers([third], by(now))).kind, 'purged')
      }))

    it('is done once, and its id cannot come back', () =>
      withStore(create, async (store) => {
        const { id, tokens } = await fillUser(store)
        await store.users.purgeUsers([id], by(now))
        await removeAllTraces(store, id)
        const again = await store.users.purgeUsers([id], by(now + 9))
        assert.deepEqual(again, { kind: 'purged', users: [{ id, purgedAt: now }] })
        assert.equal(await store.upkeep.purgeTraces(undefined, 9), 0)
        const { changes } = await store.changes.listChanges({ filter: { kind: 'user.purged' }, limit: 9 })
        assert.equal(changes.length, 1)
        const ref = { accessToken: tokens[1] ?? '' }
        const back = await store.users.writeUsers([{ ref, newId: id, edit: {} }], by(now))
        assert.ok(back.kind === 'invalid' && back.issues[0]?.path === 'id', JSON.stringify(back))
        const [found] = await store.users.findUsers([{ ref, id }], now)
        assert.deepEqual(found, { idOwner: id }, 'a dry run says so as well')
        assert.deepEqual(await store.users.purgeUsers(['usr_01kdvdna003cn7w85sfpyp0x'], by(now)), {
          ...{ kind: 'unknown', index: 0 },
        })
      }))

    it('is for users whose rows are damaged, and for those whom upkeep has removed', () =>
      withStore(create, async (store, database) => {
        const { id } = await fillUser(store)
        await database.change(`update users set type = 'odd', token_encrypted = 'broken' where id = '${id}'`)
        assert.equal((await store.users.purgeUsers([id], by(now))).kind, 'purged')
        const expired = { type: 'temporary', expiresAt: now - hourMs, nickname: 'Sentinel Nick' } as const
        const gone = await newUserId(store, now - 3 * hourMs, expired)
        for (let count = 1; count > 0; ) count = await store.upkeep.purgeUsers(now, 10, by(now))
        assert.equal((await store.users.purgeUsers([gone], by(now))).kind, 'purged')
        await removeAllTraces(store)
        const left = await dump(database)
        for (const text of person) assert.ok(!left.includes(text), text)
      }))

    it('removes an answer that an earlier version kept, and no other', () =>
      withStore(create, async (store, database) => {
        const { id } = await fillUser(store)
        await store.users.insertUser({}, by(now), { key: 'adk_1:two', fingerprint: 'f' })
        await database.change('update answers set user_id = null')
        await store.users.purgeUsers([id], by(now))
        assert.equal((await database.rows('select * from answers')).length, 1)
        const again = await store.users.insertUser({}, by(now), { key: 'adk_1:two', fingerprint: 'f' })
        assert.ok(again.kind === 'created' && again.repeated)
      }))

    it('is heard of by an instance that knows the token', async () => {
      const database = await create()
      const store = await openStore(database.settings())
      try {
        const made = await store.users.insertUser({ limits: { maxIps: 2 } }, by(now))
        if (made.kind !== 'created') assert.fail()
        const { id, accessToken } = made.user
        for (let round = 0; round < 3; round++) await book(store, { userId: id, at: now })
        await store.users.purgeUsers([id], by(now))
        const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
        const ask = {
          accessToken,
          requestId: 'req_x',
          address: '192.0.2.1',
          route: '/v1/messages',
          isMetered: true,
          units,
        }
        const { asks } = await store.metering.runBatch({ now, settlements: [], asks: [ask] })
        assert.ok(asks[0]?.kind === 'refused' && asks[0].code === 'unknown_access_token')
      } finally {
        await store.close()
        await database.remove()
      }
    })
  })
