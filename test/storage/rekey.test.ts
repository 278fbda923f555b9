import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import type { KyselyPlugin } from 'kysely'
import { configuredKeyId } from '#core/admin-key.ts'
import { createClaimCode } from '#core/claim.ts'
import type { MasterKeys } from '#core/vault.ts'
import { createVault } from '#core/vault.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { type RekeyEngine, rekey } from '#storage/keys/rekey.ts'
import { openStore, type StoreSettings } from '#storage/open.ts'
import { openPostgresRekey } from '#storage/postgres/rekey.ts'
import { rekeyStore } from '#storage/rekey.ts'
import { openSqliteRekey } from '#storage/sqlite/rekey.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, type TestDatabase } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const first = Buffer.alloc(32, 1)
const second = Buffer.alloc(32, 2)
const onFirst: MasterKeys = { masterKey: first, masterKeyPrevious: undefined }
const onSecond: MasterKeys = { masterKey: second, masterKeyPrevious: undefined }
const forth: MasterKeys = { masterKey: second, masterKeyPrevious: first }
const back: MasterKeys = { masterKey: first, masterKeyPrevious: second }

const adminSecret = 'an-admin-key-of-the-first-days'
const idempotencyKey = { key: 'adk_1 again', fingerprint: 'f' }
const dayMs = 24 * 3_600_000

/** A code that was taken allows further attempts. */
let codesTaken = 0
const appSecret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
/** Known by its SHA-256 alone. */
const foreign = 'sk-of-another-gateway'
const sessionSecret = 'tgs-of-the-first-days'

function login({ sessions }: Store, secret: string) {
  const times = { expiresAt: now + 2 * dayMs, idleUntil: now + dayMs, isCoded: false }
  return sessions.insertSession(
    { secret, openedBy: adminSecret, keyId: 'adk_old', address: '192.0.2.1', ...times },
    by(now),
  )
}

interface Filled {
  readonly accessTokens: readonly string[]
  /** The present token of the user whose old token is among these. */
  readonly rotated: string
  readonly repeated: string
}

/** Users of any kind, one of them as a version without key versions wrote it; an admin key; a kept answer. */
async function fill(database: TestDatabase, keys: MasterKeys): Promise<Filled> {
  const store = await openStore(database.settings(keys))
  try {
    const chosen = Array.from({ length: 12 }, (_, index) => `chosen ${index}`)
    const writes = chosen.map((accessToken) => ({ ref: { accessToken }, edit: { nickname: accessToken } }))
    await store.users.writeUsers(writes, by(now))
    const made = await store.users.insertUser({ nickname: 'made' }, by(now), idempotencyKey)
    assert.ok(made.kind === 'created')
    const tokenDigest = createHash('sha256').update(foreign).digest('hex')
    await store.users.writeUsers([{ ref: { accessToken: 'chosen 5' }, edit: {}, tokenDigest }], by(now))
    const rotated = await store.users.rotateToken({ accessToken: 'chosen 2' }, now + dayMs, by(now))
    assert.ok(rotated.kind === 'rotated')
    await store.adminKeys.insertAdminKey({ name: 'old', secret: adminSecret, scopes: ['admin'] }, by(now))
    await login(store, sessionSecret)
    const given = { secret: appSecret, recoveryCodes: ['one', 'two'] }
    const { id = '' } = (await store.adminKeys.findAdminKey(adminSecret, now)) ?? {}
    assert.equal(await store.secondFactors.beginSecondFactor(id, given, by(now)), 'begun')
    return {
      accessTokens: [...chosen, made.user.accessToken, foreign],
      rotated: rotated.user.accessToken,
      repeated: made.user.accessToken,
    }
  } finally {
    await store.close()
    await database.change('update instances set seen_at = 0')
    const length = createVault(keys).version.length
    await database.change(
      `update users set token_encrypted = substr(token_encrypted, ${length + 1}) where nickname = 'chosen 3'`,
    )
  }
}

function presentOf(accessToken: string, rotated: string): string {
  if (accessToken === foreign) return 'chosen 5'
  return accessToken === 'chosen 2' ? rotated : accessToken
}

/** Every way in which a running instance finds what is stored. */
async function assertFound(
  store: Store,
  { accessTokens, rotated, repeated }: Filled,
  what: string,
): Promise<void> {
  const units = { model: 'claude-x', family: 'claude', input: 1, output: 1, choices: 1 }
  const asks = accessTokens.map((accessToken) => ({
    ...{ accessToken, requestId: createSortableId('req_', now), address: '192.0.2.1' },
    ...{ route: '/v1/messages', isMetered: true, units, isDry: true },
  }))
  const { asks: outcomes } = await store.metering.runBatch({ now, settlements: [], asks })
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    accessTokens.map(() => 'admitted'),
    what,
  )
  for (const accessToken of accessTokens) {
    assert.equal(await store.users.knowsAccessToken(accessToken), true, what)
    const known = await store.users.findUser({ accessToken }, now)
    assert.equal(known?.accessToken, presentOf(accessToken, rotated), what)
  }
  const many = await store.users.findUsers(
    accessTokens.map((accessToken) => ({ ref: { accessToken } })),
    now,
  )
  assert.deepEqual(
    many.map(({ user }) => user?.accessToken),
    accessTokens.map((each) => presentOf(each, rotated)),
    what,
  )
  assert.equal((await store.adminKeys.findAdminKey(adminSecret, now))?.name, 'old', what)
  assert.equal(await store.adminKeys.findAdminKey(`${adminSecret}x`, now), undefined, what)
  assert.equal((await store.sessions.findSession(sessionSecret, now))?.key.name, 'old', what)
  const key = await store.adminKeys.findAdminKey(adminSecret, now)
  const attempt = await store.secondFactors.takeAttempt(key?.id ?? '', now)
  assert.ok(attempt.kind === 'may', what)
  assert.equal(attempt.factor.secret, appSecret, what)
  codesTaken += 1
  assert.ok(await store.secondFactors.takeStep(key?.id ?? '', codesTaken), what)
  // A login of now, with a key whose hash is older.
  const { id } = await login(store, 'tgs-of-now')
  assert.equal((await store.sessions.findSession('tgs-of-now', now))?.key.name, 'old', what)
  await store.sessions.deleteSession(id, by(now))
  const again = await store.users.insertUser({ nickname: 'made' }, by(now), idempotencyKey)
  assert.ok(again.kind === 'created' && again.repeated, what)
  assert.equal(again.user.accessToken, repeated, what)
  const { users, unreadable } = await store.users.listUsers({ limit: 100, now })
  assert.deepEqual([unreadable, users.length], [undefined, accessTokens.length - 1], what)
}

async function withOpen<T>(
  database: TestDatabase,
  keys: MasterKeys,
  work: (store: Store) => Promise<T>,
  more?: Partial<StoreSettings>,
): Promise<T> {
  const store = await openStore(database.settings({ ...keys, ...more }))
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const run = (database: TestDatabase, keys: MasterKeys, more = {}) =>
  rekeyStore({ database: database.settings().database, ...keys }, { ...quiet, ...more })

class Killed extends Error {}

/** Ends the work before the statement of this number, or when its answer has come. */
function killedAt(at: number, when: 'before' | 'after'): KyselyPlugin {
  let count = 0
  return {
    transformQuery({ node }) {
      count += 1
      if (when === 'before' && count === at) throw new Killed()
      return node
    },
    async transformResult({ result }) {
      if (when === 'after' && count === at) throw new Killed()
      return result
    },
  }
}

/** Does something when the answer to a statement has come. */
function afterEach(work: () => Promise<void>): KyselyPlugin {
  return {
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      await work()
      return result
    },
  }
}

async function withEngine<T>(
  database: TestDatabase,
  keys: MasterKeys,
  work: (engine: RekeyEngine) => Promise<T>,
): Promise<T> {
  const settings = database.settings().database
  const opened =
    settings.kind === 'postgres'
      ? await openPostgresRekey(settings.url, keys)
      : await openSqliteRekey(settings.path, keys)
  try {
    return await work(opened.engine)
  } finally {
    await opened.close()
  }
}

const oldTexts = (keys: MasterKeys) => {
  const { version } = createVault(keys)
  const isOld = (column: string) => `substr(${column}, 1, ${version.length}) <> '${version}'`
  return `select (select count(*) from users where ${isOld('token_encrypted')}) +
    (select count(*) from answers where ${isOld('answer_encrypted')}) as count`
}

for (const { name, create } of databases) {
  describe(`replacing the master key on ${name}`, () => {
    const withDatabase = async <T>(work: (database: TestDatabase) => Promise<T>): Promise<T> => {
      const database = await create()
      try {
        return await work(database)
      } finally {
        await database.remove()
      }
    }

    it('seals everything anew while an instance runs, and the earlier key is needed no more', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        await withOpen(database, forth, async (store) => {
          await assertFound(store, filled, 'before')
          const seen: string[] = []
          const onProgress = ({ table, rows, of }: { table: string; rows: number; of: number }) =>
            seen.push(`${table} ${rows} of ${of}`)
          const done = await run(database, forth, { onProgress, rowsAtOnce: 5 })
          assert.deepEqual(done, { kind: 'rekeyed', rows: 18, unreadable: [] })
          assert.deepEqual(seen, [
            'users 5 of 13',
            'users 10 of 13',
            'users 13 of 13',
            'old_tokens 1 of 1',
            'token_digests 1 of 1',
            'answers 1 of 1',
            'second_factors 1 of 1',
            'change_head 1 of 1',
          ])
          await assertFound(store, filled, 'after')
          assert.equal(Number((await database.rows(oldTexts(onSecond)))[0]?.count), 0)
          assert.deepEqual(await run(database, forth), { kind: 'nothing' })
        })
        await withOpen(database, onSecond, (store) => assertFound(store, filled, 'on the new key alone'))
        await assert.rejects(openStore(database.settings(onFirst)), /MASTER_KEY is not the one/)
      }))

    it('can be killed at every step and gone on with, and every secret is found all the while', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        let kills = 0
        for (const [keys, when] of [
          [forth, 'before'],
          [back, 'after'],
        ] as const)
          await withOpen(database, keys, async (store) => {
            for (let at = 1; ; at += 1) {
              const done = await withEngine(database, keys, (engine) =>
                rekey(
                  { ...engine, db: engine.db.withPlugin(killedAt(at, when)) },
                  { ...quiet, rowsAtOnce: 2 },
                ),
              ).catch((error: unknown) => {
                if (!(error instanceof Killed || (error as Error).cause instanceof Killed)) throw error
                return undefined
              })
              await assertFound(store, filled, `killed ${when} statement ${at}`)
              if (done) break
              kills += 1
            }
            assert.equal(Number((await database.rows(oldTexts(keys)))[0]?.count), 0)
          })
        assert.ok(kills > 20, `only ${kills} kills`)
        await withOpen(database, onFirst, (store) => assertFound(store, filled, 'on the first key again'))
      }))

    it('leaves what is written meanwhile, and seals that as well', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        await withOpen(database, forth, async (store) => {
          const over = new AbortController()
          const busy = (async () => {
            for (let round = 0; !over.signal.aborted; round += 1) {
              const writes = filled.accessTokens.map((accessToken) => ({
                ref: { accessToken },
                edit: { adminNote: `round ${round}` },
              }))
              const written = await store.users.writeUsers(writes, by(now))
              assert.ok(written.kind === 'written' && written.users.length === filled.accessTokens.length)
              await store.users.disableUser({ accessToken: 'chosen 1' }, `round ${round}`, by(now))
              await store.users.writeUsers(
                [{ ref: { accessToken: 'chosen 1' }, edit: { disabledAt: null } }],
                by(now),
              )
            }
          })()
          await run(database, forth, { rowsAtOnce: 1 }).finally(() => over.abort())
          await busy
          await assertFound(store, filled, 'after writes')
        })
        assert.equal(Number((await database.rows(oldTexts(onSecond)))[0]?.count), 0)
        assert.equal((await database.rows('select id from users')).length, 13, 'no user was made twice')
      }))

    it('is stopped by a signal, and continues', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        const end = new AbortController()
        const onProgress = () => end.abort()
        assert.deepEqual(await run(database, forth, { onProgress, signal: end.signal, rowsAtOnce: 4 }), {
          kind: 'interrupted',
        })
        for (const keys of [onFirst, onSecond])
          await assert.rejects(
            openStore(database.settings(keys)),
            /between two master keys: set MASTER_KEY and MASTER_KEY_PREVIOUS/,
          )
        await withOpen(database, back, (store) =>
          assertFound(store, filled, 'half of it, the other way round'),
        )
        await database.change('update instances set seen_at = 0')
        assert.deepEqual(await run(database, forth), { kind: 'rekeyed', rows: 14, unreadable: [] })
      }))

    it('loses nothing of an instance that starts at its end with the keys the other way round', async () => {
      const statements = await withDatabase(async (database) => {
        await fill(database, onFirst)
        let count = 0
        const counting = afterEach(async () => {
          count += 1
        })
        await withEngine(database, forth, (engine) =>
          rekey({ ...engine, db: engine.db.withPlugin(counting) }, quiet),
        )
        return count
      })
      const ends: string[] = []
      for (let beforeEnd = 0; beforeEnd < 4; beforeEnd += 1)
        await withDatabase(async (database) => {
          const filled = await fill(database, onFirst)
          let late: Store | undefined
          let count = 0
          const starting = afterEach(async () => {
            count += 1
            if (count !== statements - beforeEnd) return
            late = await openStore(database.settings({ ...back, instance: 'late' }))
            await late.users.writeUsers(
              [{ ref: { accessToken: 'late' }, edit: { nickname: 'late' } }],
              by(now),
            )
          })
          const ended = await withEngine(database, forth, (engine) =>
            rekey({ ...engine, db: engine.db.withPlugin(starting) }, quiet),
          ).catch((error: Error) => error)
          assert.ok(late, 'it was started')
          if (ended instanceof Error)
            assert.match(ended.message, /the instance late does not write with this/)
          await late.close()
          const both = { ...filled, accessTokens: [...filled.accessTokens, 'late'] }
          await assert.rejects(openStore(database.settings(onSecond)), /between two master keys/)
          await withOpen(database, forth, (store) => assertFound(store, both, 'with both keys'))
          ends.push(ended instanceof Error ? 'refused' : 'ended')
        })
      assert.deepEqual(new Set(ends), new Set(['refused', 'ended']), ends.join())
    })

    it('names the key of an instance again that goes on after its end', () =>
      withDatabase(async (database) => {
        await fill(database, onFirst)
        const held = async () =>
          String((await database.rows("select value from facts where name = 'master_key'"))[0]?.value)
        const [one, other] = [createVault(onFirst).fingerprint, createVault(onSecond).fingerprint]
        await withOpen(database, back, async (store) => {
          await database.change(`update facts set value = '${other}' where name = 'master_key'`)
          await store.metering.beat(Date.now())
          assert.equal(await held(), `${other} ${one}`)
          await store.metering.beat(Date.now())
          assert.equal(await held(), `${other} ${one}`)
        })
        await assert.rejects(openStore(database.settings(onSecond)), /between two master keys/)
      }))

    it('refuses as long as an instance writes with the other key', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        await withOpen(database, back, async (store) => {
          await store.metering.beat(Date.now())
          await assert.rejects(run(database, forth), /the instance test does not write with this MASTER_KEY/)
          await assertFound(store, filled, 'nothing was changed')
        })
        await withOpen(database, onFirst, (store) => assertFound(store, filled, 'nor is the new key needed'))
      }))

    it('drops a key of hashes that is of no use any more', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        await run(database, forth)
        await withOpen(database, onSecond, (store) => assertFound(store, filled, 'by the kept key'))
        const kept = () => database.rows("select value from facts where name = 'lookup_keys'")
        const length = String((await kept())[0]?.value).length
        await database.change('delete from admin_keys')
        await withEngine(database, { masterKey: Buffer.alloc(32, 3), masterKeyPrevious: second }, (engine) =>
          rekey({ ...engine, now: async () => Date.now() + 2 * dayMs }, quiet),
        )
        assert.equal(String((await kept())[0]?.value).length, length, 'one went, one came')
      }))

    it('keeps it as long as a link was made under it', () =>
      withDatabase(async (database) => {
        const filled = await fill(database, onFirst)
        const code = createClaimCode()
        const madeWith = { keyId: configuredKeyId, secret: 'the-admin-key' }
        const openers = {
          key: {
            secret: madeWith.secret,
            key: { id: configuredKeyId, name: 'environment', createdAt: now, scopes: ['admin'] },
          },
        } as const
        const expiresAt = Date.now() + 30 * dayMs
        await withOpen(database, onFirst, async ({ users, claims }) => {
          const user = await users.findUser({ accessToken: filled.repeated }, now)
          const claim = { userId: user?.id ?? '', code, expiresAt, madeWith }
          assert.ok(await claims.insertClaim(claim, by(Date.now() - 1000), openers))
        })
        await database.change('delete from admin_keys')
        await database.change('update instances set seen_at = 0')
        await run(database, forth)
        const third = { masterKey: Buffer.alloc(32, 3), masterKeyPrevious: undefined }
        await withEngine(database, { ...third, masterKeyPrevious: second }, (engine) =>
          rekey({ ...engine, now: async () => Date.now() + 2 * dayMs }, quiet),
        )
        await withOpen(database, third, async ({ claims }) => {
          const found = await claims.findClaim(code, Date.now() + 3 * dayMs, openers)
          assert.equal(found?.user.nickname, 'made')
        })
      }))

    it('tells of what neither key opens, and of two users with one access token', () =>
      withDatabase(async (database) => {
        await fill(database, onFirst)
        const other = createVault({ masterKey: Buffer.alloc(32, 9) })
        const [damaged, twice] = await database.rows(
          "select id from users where nickname in ('chosen 4', 'chosen 5') order by nickname",
        )
        await database.change(
          `update users set token_encrypted = '${other.seal('x', 'x')}' where id = '${damaged?.id}'`,
        )
        const sealed = createVault(onFirst).seal('chosen 6', String(twice?.id))
        await database.change(`update users set token_encrypted = '${sealed}' where id = '${twice?.id}'`)
        const done = await run(database, forth)
        assert.ok(done.kind === 'rekeyed')
        assert.equal(done.rows, 16)
        assert.equal(done.unreadable.length, 2)
        assert.ok(done.unreadable.includes(String(damaged?.id)))
        await withOpen(database, onSecond, async (store) => {
          assert.equal(
            (await store.users.findUser({ accessToken: 'chosen 6' }, now))?.accessToken,
            'chosen 6',
          )
          assert.equal((await store.users.listUsers({ limit: 100, now })).users.length, 11)
        })
      }))
  })
}
