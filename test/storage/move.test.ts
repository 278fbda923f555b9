import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { noProgress } from '#core/bulk-run.ts'
import { createClaimCode } from '#core/claim.ts'
import { type Moved, type MoveProgress, moveStore, takeBack } from '#storage/move.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { frontEndSecret, frontEndSettings } from '../support/front-end.ts'
import { assertInvariants } from '../support/invariants.ts'
import { book, open } from '../support/ledger.ts'
import { createPostgres, databases, type TestDatabase } from '../support/stores.ts'

/**
 * Everything goes from the embedded database to a shared one, whatever interrupts it. What there is to move is made by
 * the program itself, and compared row by row, past it.
 */
const now = Date.parse('2026-11-22T12:00:00Z')
const never = new AbortController().signal

type Postgres = TestDatabase & { readonly url: string }

/** Names that could be taken for something else on their way. */
const odd = ['NULL', '{}', '{"a"}', 'a,b', '\\', '"', "o'er", '', 'Zoë 😀 中文', ' spaced ']

async function fill(store: Store): Promise<void> {
  const edits = odd.map((nickname, index) => ({
    ref: { accessToken: `moved-${index}` },
    edit: {
      nickname,
      adminNote: `note ${nickname}`,
      tags: [nickname, 'all'],
      expiresAt: now + 1e10,
      quotaLimits: { claude: 2 ** 53 - 1, gpt4: index * 1000 },
      limits: {
        requestsPerMinute: 1000 + index,
        maxIps: 5,
        allowedNetworks: ['192.0.2.0/24'],
        period: 'monthly',
      },
    } as const,
  }))
  await store.users.writeUsers([...edits, { ref: { accessToken: 'plain' }, edit: {} }], by(now))
  const run = await store.bulk.insertRun(
    { action: { kind: 'tag' }, target: {}, actor: 'x', matched: 1 },
    by(now),
  )
  const progress = { ...noProgress, changed: 1 }
  const tagged = await store.users.findUser({ accessToken: 'plain' }, now)
  const undo = [{ path: 'tags', before: null, after: ['bulk'] }]
  const changes = [{ userId: tagged?.id ?? '', undo }]
  await store.users.editBatch([{ ref: { accessToken: 'plain' }, edit: { tags: ['bulk'] } }], by(now), {
    runId: run.id,
    before: run,
    state: 'done',
    progress,
    changes,
  })
  const gone = await store.users.insertUser({ nickname: 'gone' }, by(now))
  if (gone.kind === 'created') await store.users.purgeUsers([gone.user.id], by(now))
  await store.users.disableUser({ accessToken: 'moved-1' }, 'Left, "for good"', by(now))
  await store.users.addToQuota({ accessToken: 'moved-2' }, { family: 'gpt4', units: 77 }, by(now), {
    ...{ key: 'once', fingerprint: 'f' },
  })
  const listed = await store.users.listUsers({ limit: 100, now })
  for (const [index, { id }] of listed.users.filter(({ disabledAt }) => disabledAt === undefined).entries())
    for (let round = 0; round < 5; round++)
      await book(store, {
        ...{ userId: id, at: now + round * 60_000, model: `claude-${index}`, upstream: odd[index] ?? 'main' },
        ...{ usage: { input: 3 + round, output: index }, address: `192.0.2.${round + 1}` },
      })
  const plain = await store.users.findUser({ accessToken: 'plain' }, now)
  assert.ok(plain)
  // Two requests that are still running when the process ends, and a lease.
  for (const at of [now, now + 1]) await open(store, { userId: plain.id, at })
  const event = { route: '/usage', family: 'claude', model: 'x', isEstimated: false, status: 200 }
  const usage = { input: 5, cacheRead: 0, cacheWritten: 0, output: 5, reasoning: 0 }
  await store.metering.runBatch({
    ...{ now, settlements: [], asks: [] },
    events: [{ ...event, usage, eventId: 'event-1', requestId: 'evt_1', userId: plain.id }],
  })
  await store.users.writeUsers([{ ref: { id: plain.id }, edit: { quotaUsed: { claude: 4 } } }], by(now))
  const corrections = odd.map(
    (model, voice) => ({ model, voice, kind: 'images', factor: 1 / 3, requests: voice }) as const,
  )
  await store.corrections.writeCorrections(corrections, now)
  assert.ok((await store.upkeep.gatherRequests(now + 60_000, 500)) > 10)
  const ann = await store.adminKeys.insertAdminKey(
    { name: 'ann', secret: 'a-secret-of-ann', scopes: ['admin'] },
    by(now),
  )
  const ends = { expiresAt: now + 1e9, idleUntil: now + 1e8, isCoded: false }
  await store.sessions.insertSession(
    { secret: 'a-session', keyId: ann.id, openedBy: 'a-secret-of-ann', ...ends, address: '192.0.2.1' },
    by(now),
  )
  const app = { secret: 'APP', recoveryCodes: ['one', 'two'] }
  assert.equal(await store.secondFactors.beginSecondFactor(ann.id, app, by(now)), 'begun')
  await store.users.rotateToken({ accessToken: 'plain' }, now + 1e9, by(now))
  const tokenDigest = hash('sha256', 'a key of elsewhere', 'hex')
  await store.users.writeUsers([{ ref: { accessToken: 'moved-3' }, edit: {}, tokenDigest }], by(now))
  const madeWith = { keyId: ann.id, secret: 'a-secret-of-ann' }
  const claim = { userId: plain.id, code: claimCode, expiresAt: now + 1e9, madeWith }
  assert.ok(await store.claims.insertClaim(claim, by(now)))
  const signing = { kind: 'new', secret: frontEndSecret } as const
  const settings = frontEndSettings({ kind: 'jwt', header: 'x-person' })
  await store.frontEnds.setFrontEnd(plain.id, settings, signing, by(now))
  const taken = await store.frontEnds.takePerson(plain.id, { person: 'ann' }, by(now))
  assert.equal(taken.kind, 'taken')
}

const claimCode = createClaimCode()

const own: ReadonlySet<string> = new Set(['migrations', 'facts', 'instances'])

async function tablesOf(source: TestDatabase): Promise<readonly string[]> {
  const rows = await source.rows("select name from sqlite_schema where type = 'table'")
  return rows.map(({ name }) => String(name)).filter((name) => !own.has(name) && !name.startsWith('sqlite_'))
}

async function assertSame(source: TestDatabase, target: TestDatabase): Promise<void> {
  const tables = await tablesOf(source)
  assert.ok(tables.length >= 10)
  for (const table of tables) {
    const sorted = async (database: TestDatabase) => {
      const rows = await database.rows(`select * from ${table}`)
      return rows.map((row) => JSON.stringify(Object.entries(row).toSorted())).toSorted()
    }
    const here = await sorted(source)
    assert.ok(here.length > 0 || table === 'usage_hours', `there is something in ${table}`)
    assert.deepEqual(await sorted(target), here, table)
  }
  const below = "select value from facts where name = 'user_requests_below'"
  assert.deepEqual(await target.rows(below), await source.rows(below), 'up to where requests stand by user')
}

function pathOf(source: TestDatabase): string {
  const { database } = source.settings()
  assert.ok(database.kind === 'sqlite')
  return database.path
}

/** Fewer at once than there are rows, so that a table takes several steps. */
const rowsAtOnce = 7

function move(
  source: TestDatabase,
  target: Postgres,
  more: Partial<Parameters<typeof moveStore>[0]> = {},
): Promise<Moved> {
  return moveStore({
    ...{ from: { path: pathOf(source) }, to: { url: target.url }, signal: never, rowsAtOnce },
    ...{ onProgress: () => undefined, ...more },
  })
}

/** Moves until it has seen so many of these steps, and is then told to stop. */
function moveUntil(
  source: TestDatabase,
  target: Postgres,
  kind: MoveProgress['kind'],
  count = 1,
): Promise<Moved> {
  const end = new AbortController()
  let seen = 0
  const onProgress = (progress: MoveProgress) => {
    if (progress.kind === kind && ++seen === count) end.abort()
  }
  return move(source, target, { signal: end.signal, onProgress })
}

// Where only one kind of database is asked for there is nothing to move between.
for (const { create } of databases.length === 2 ? databases.slice(0, 1) : [])
  describe('moving from the embedded database to a shared one', () => {
    let source: TestDatabase
    let target: Postgres
    let original: TestDatabase

    before(async () => {
      original = await create()
      const store = await openStore(original.settings())
      await fill(store)
      await store.close()
    })
    after(() => original.remove())

    /** Each time a copy of the same, and an empty database. */
    async function withBoth(run: () => Promise<void>): Promise<void> {
      source = await create()
      target = await createPostgres()
      try {
        copyFileSync(pathOf(original), pathOf(source))
        await run()
      } finally {
        await source.remove()
        await target.remove()
      }
    }

    it('takes every row as it is, and the account goes on there', () =>
      withBoth(async () => {
        const moved = await move(source, target)
        assert.ok(moved.kind === 'moved')
        assert.match(moved.where, /^127\.0\.0\.1:\d+\/tollgate_test_/)
        await assertSame(source, target)
        const store = await openStore(target.settings({ instance: 'there' }))
        try {
          const ann = await store.adminKeys.findAdminKey('a-secret-of-ann', now)
          assert.equal(ann?.name, 'ann')
          assert.equal((await store.claims.findClaim(claimCode, now + 1))?.claim.state, 'open')
          const frontEnd = await store.users.findUser({ accessToken: 'plain' }, now)
          const known = await store.frontEnds.readFrontEnd(frontEnd?.id ?? '')
          assert.equal(known?.secret, frontEndSecret)
          assert.ok(await store.frontEnds.findPerson(known.userId, 'ann'))
          for (const [index, nickname] of odd.entries()) {
            const user = await store.users.findUser({ accessToken: `moved-${index}` }, now)
            assert.equal(user?.nickname ?? '', nickname)
            assert.equal(user?.accessToken, `moved-${index}`)
          }
          assert.equal(await store.metering.abandonEntries(Date.now(), 15_000), 2, 'what was left running')
          const repeated = await store.users.addToQuota(
            { accessToken: 'moved-2' },
            { family: 'gpt4', units: 77 },
            by(now),
            { key: 'once', fingerprint: 'f' },
          )
          assert.ok(repeated.kind === 'added' && repeated.repeated)
          await assertInvariants(target)
        } finally {
          await store.close()
        }
      }))

    it('goes on where it stopped, however often that is, and is not used before', () =>
      withBoth(async () => {
        let stops = 0
        for (; ; stops++) {
          const moved = await moveUntil(source, target, 'copied')
          if (moved.kind === 'interrupted') {
            await assert.rejects(openStore(target.settings()), /DATABASE_URL: not all .* migrate-store again/)
            assert.ok(stops < 200)
            continue
          }
          assert.equal(moved.kind, 'moved')
          break
        }
        assert.ok(stops > 15, `it was stopped ${stops} times`)
        await assertSame(source, target)
      }))

    it('begins anew where the source was used in between', () =>
      withBoth(async () => {
        assert.equal((await moveUntil(source, target, 'copied', 4)).kind, 'interrupted')
        const store = await openStore(source.settings())
        await store.users.writeUsers(
          [
            { ref: { accessToken: 'late' }, edit: {} },
            { ref: { accessToken: 'moved-3' }, edit: { nickname: 'changed' } },
          ],
          by(now),
        )
        await store.close()
        assert.equal((await move(source, target)).kind, 'moved')
        await assertSame(source, target)
        const [late] = await target.rows("select count(*) from users where nickname = 'changed'")
        assert.deepEqual(late, { count: 1 })
      }))

    it('says what differs where somebody has written there, and copies it anew', () =>
      withBoth(async () => {
        assert.equal((await moveUntil(source, target, 'compared')).kind, 'interrupted')
        await target.change("update quotas set used = used + 1 where family = 'claude'")
        await target.change(
          "delete from entries where id = (select min(id) from entries where state = 'settled')",
        )
        const moved = await move(source, target)
        assert.ok(moved.kind === 'different')
        assert.deepEqual(Object.keys(moved.columns).toSorted(), ['entries', 'quotas'])
        assert.deepEqual(moved.columns.quotas, ['used'])
        assert.ok(moved.columns.entries?.includes('rows'))
        await assert.rejects(openStore(target.settings()), /migrate-store again/)
        assert.equal((await move(source, target)).kind, 'moved')
        await assertSame(source, target)
      }))

    it('is done when it was stopped after its end, whatever has happened there since', () =>
      withBoth(async () => {
        assert.equal((await move(source, target)).kind, 'moved')
        // As if it had been killed before it could note that here.
        const db = new DatabaseSync(pathOf(source))
        const [state] = await target.rows("select value from facts where name = 'moving'")
        db.exec("delete from facts where name = 'moved'")
        db.prepare("insert into facts values ('moving', ?)").run(JSON.parse(String(state?.value)).state)
        db.close()
        const store = await openStore(target.settings())
        await store.users.insertUser({ nickname: 'new there' }, by(now))
        assert.equal((await move(source, target)).kind, 'moved')
        const users = await store.users.countUsers({}, now)
        assert.equal(users, odd.length + 3, 'with the plain one, a person and the new one')
        await store.close()
      }))

    it('leaves a database that starts no more, until that is taken back', () =>
      withBoth(async () => {
        assert.equal(await takeBack(pathOf(source)), false)
        assert.equal((await move(source, target)).kind, 'moved')
        await assert.rejects(openStore(source.settings()), /was moved to 127\.0\.0\.1.*DATABASE_URL.*--undo/)
        await assert.rejects(move(source, target), /moved to 127\.0\.0\.1.* before.*--undo/)
        assert.equal(await takeBack(pathOf(source)), true)
        await (await openStore(source.settings())).close()
        // What was done there is not thrown away for what is here.
        await assert.rejects(move(source, target), /in use: its table \w+ has rows/)
      }))

    it('changes nothing where it may not begin', () =>
      withBoth(async () => {
        const held = await openStore(source.settings())
        await assert.rejects(move(source, target), /another Tollgate process is already using the folder/)
        await held.close()

        const living = await openStore(target.settings())
        await assert.rejects(move(source, target), /an instance is running/)
        await living.close()
        assert.equal((await move(source, target)).kind, 'moved', 'one that has ended is no hindrance')

        const used = await createPostgres()
        const store = await openStore(used.settings())
        await store.users.insertUser({ nickname: 'first' }, by(now))
        await store.close()
        await takeBack(pathOf(source))
        await assert.rejects(move(source, used), /in use: its table users has rows/)
        assert.deepEqual(await used.rows('select nickname from users'), [{ nickname: 'first' }])
        await used.remove()

        const nowhere = { path: `${pathOf(source)}-that-is-none` }
        await assert.rejects(move(source, target, { from: nowhere }), /there is no database at/)
        const refusing = { url: 'postgres://nobody:secret@127.0.0.1:1/none' }
        await assert.rejects(move(source, target, { to: refusing }), (error: Error) => {
          assert.match(error.message, /the database to move to: .*ECONNREFUSED/)
          assert.doesNotMatch(error.message, /secret/)
          return true
        })
      }))

    it('lets one move at a time fill a database', () =>
      withBoth(async () => {
        const other = await create()
        copyFileSync(pathOf(original), pathOf(other))
        let second: Promise<unknown> | undefined
        const first = await move(source, target, {
          onProgress: ({ kind }) => {
            if (kind === 'begun') second = assert.rejects(move(other, target), /another migrate-store/)
          },
        })
        assert.equal(first.kind, 'moved')
        await second
        await other.remove()
      }))
  })
