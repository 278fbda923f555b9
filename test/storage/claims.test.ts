import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configuredKeyId } from '#core/admin-key.ts'
import { claimsKeptMax, createClaimCode, isClaimCode, type NewClaim } from '#core/claim.ts'
import type { ConfiguredOpeners } from '#core/session.ts'
import type { Person } from '#core/sign-on.ts'
import type { User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { openStore } from '#storage/open.ts'
import { rekeyStore } from '#storage/rekey.ts'
import type { ClaimTaken } from '#storage/store/claims.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const adminSecret = 'an-admin-key-of-this-test'

/** A user, and an admin key that makes links. */
async function prepare(
  store: Store,
  edit: UserEdit = {},
): Promise<{ readonly user: User; readonly keyId: string }> {
  const made = await store.users.insertUser({ nickname: 'Ann', ...edit }, by(now))
  const key = await store.adminKeys.insertAdminKey(
    { name: 'a', secret: adminSecret, scopes: ['admin'] },
    by(now),
  )
  return { user: made.kind === 'created' ? made.user : assert.fail(), keyId: key.id }
}

async function link(
  store: Store,
  { user, keyId }: { readonly user: Pick<User, 'id'>; readonly keyId: string },
  more: Partial<NewClaim> = {},
  openers?: ConfiguredOpeners,
  at = now,
) {
  const code = createClaimCode()
  const claim = {
    userId: user.id,
    code,
    expiresAt: at + dayMs,
    madeWith: { keyId, secret: adminSecret },
    ...more,
  }
  const made = await store.claims.insertClaim(claim, by(at), openers)
  return { code, ...(made ?? assert.fail()) }
}

const asked = { requestId: 'req_1', address: '192.0.2.1' }
const take = (store: Store, code: string, at = now + 1) => store.claims.takeClaim(code, { now: at, ...asked })
const states = async (store: Store, userId: string, at = now) =>
  (await store.claims.listClaims(userId, at)).map(({ state }) => state)
const tokenOf = (taken: ClaimTaken) => (taken.kind === 'taken' ? taken.user.accessToken : taken.kind)

/** Stores of two instances; the embedded database has one. */
async function withInstances(
  kind: (typeof databases)[number],
  run: (stores: readonly [Store, Store], database: TestDatabase) => Promise<void>,
): Promise<void> {
  const database = await kind.create()
  const isShared = kind.name === 'PostgreSQL'
  const one = await openStore(database.settings({ instance: 'one' }))
  const two = isShared ? await openStore(database.settings({ instance: 'two' })) : one
  try {
    await run([one, two], database)
  } finally {
    await one.close()
    if (isShared) await two.close()
    await database.remove()
  }
}

it('a code has its form, and no other text has it', () => {
  const code = createClaimCode()
  assert.ok(isClaimCode(code))
  for (const other of ['', code.slice(1), `${code}x`, code.replace('tgc-', 'tga-'), `${code}\n`])
    assert.equal(isClaimCode(other), false, JSON.stringify(other))
})

for (const kind of databases) {
  const { name, create } = kind
  describe(`links that show an access token once, on ${name}`, () => {
    it('show it once, and looking uses nothing up', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { user } = prepared
        const made = await link(store, prepared)
        for (let times = 0; times < 3; times += 1) {
          const found = await store.claims.findClaim(made.code, now + 1)
          assert.deepEqual(found?.user, { id: user.id, nickname: 'Ann' })
          assert.deepEqual([found.claim.state, found.claim.expiresAt], ['open', now + dayMs])
        }
        assert.deepEqual(await take(store, made.code), {
          kind: 'taken',
          user: { id: user.id, accessToken: user.accessToken, nickname: 'Ann' },
        })
        assert.deepEqual(await take(store, made.code), { kind: 'ended' })
        assert.equal(await store.claims.findClaim(made.code, now + 1), undefined)
        const [listed] = await store.claims.listClaims(user.id, now + 2)
        assert.deepEqual([listed?.id, listed?.state, listed?.usedAt], [made.id, 'used', now + 1])
        assert.equal((await store.users.findUser({ id: user.id }, now))?.revision, user.revision)
      }))

    it('open to their code alone, and until their end', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { code } = await link(store, prepared)
        for (const other of [
          createClaimCode(),
          code.toLowerCase(),
          prepared.user.accessToken,
          adminSecret,
          '',
        ])
          assert.equal((await take(store, other)).kind, 'ended')
        assert.equal((await take(store, code, now + dayMs)).kind, 'ended')
        assert.deepEqual(await states(store, prepared.user.id, now + dayMs), ['expired'])
        assert.equal((await take(store, code, now + dayMs - 1)).kind, 'taken')
        assert.equal(
          await store.claims.insertClaim(
            {
              ...(await link(store, prepared)),
              madeWith: { keyId: prepared.keyId, secret: adminSecret },
              userId: 'usr_none',
            },
            by(now),
          ),
          undefined,
        )
      }))

    it('are given to one of many who confirm at once, on any instance, and rotate once', () =>
      withInstances(kind, async (stores) => {
        const prepared = await prepare(stores[0])
        for (const rotation of [undefined, { graceMs: hourMs }]) {
          const { code } = await link(stores[0], prepared, rotation && { rotation })
          const before = await stores[0].users.findUser({ id: prepared.user.id }, now)
          const all = await Promise.all(
            Array.from({ length: 30 }, (_, index) => take(stores[index % 2 ? 1 : 0], code)),
          )
          const [taken, ...more] = all.filter((each) => each.kind === 'taken')
          assert.equal(more.length, 0, `${more.length + 1} got it`)
          assert.equal(all.filter((each) => each.kind === 'ended').length, 29)
          const after = await stores[1].users.findUser({ id: prepared.user.id }, now)
          assert.equal(taken && tokenOf(taken), after?.accessToken)
          assert.equal(after?.accessToken === before?.accessToken, rotation === undefined)
          assert.equal(after?.revision, (before?.revision ?? 0) + (rotation ? 1 : 0))
        }
      }))

    it('leave one open of many that are made at once, on any instance', () =>
      withInstances(kind, async (stores) => {
        const prepared = await prepare(stores[0])
        const made = await Promise.all(
          Array.from({ length: 8 }, (_, index) => link(stores[index % 2 ? 1 : 0], prepared)),
        )
        const taken = []
        for (const { code } of made) if ((await take(stores[0], code)).kind === 'taken') taken.push(code)
        assert.equal(taken.length, 1)
      }))

    it('end with a newer link of the same user, and are revoked, once', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { id } = prepared.user
        const first = await link(store, prepared)
        const other = await prepare(store, { nickname: 'Bob' }).catch(() => undefined)
        assert.equal(other, undefined, 'a second key with this secret')
        const second = await link(store, prepared, {}, undefined, now + 5)
        assert.deepEqual(await states(store, id), ['open', 'revoked'])
        assert.equal((await take(store, first.code)).kind, 'ended')
        const revoked = await store.claims.revokeClaim(id, second.id, by(now + 6))
        assert.deepEqual([revoked?.state, revoked?.revokedAt], ['revoked', now + 6])
        assert.equal((await store.claims.revokeClaim(id, second.id, by(now + 7)))?.revokedAt, now + 6)
        assert.equal((await take(store, second.code)).kind, 'ended')
        assert.equal(await store.claims.revokeClaim('usr_none', second.id, by(now)), undefined)
        assert.equal(await store.claims.revokeClaim(id, 'clm_none', by(now)), undefined)
        const third = await link(store, prepared)
        await take(store, third.code)
        assert.equal((await store.claims.revokeClaim(id, third.id, by(now + 8)))?.state, 'used')
      }))

    it('show the access token that the user has then, and a blocked user none, without being used up', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { id, accessToken } = prepared.user
        const edit = async (change: UserEdit) => {
          assert.equal(
            (await store.users.writeUsers([{ ref: { id }, edit: change }], by(now))).kind,
            'written',
          )
        }
        const { code } = await link(store, prepared, { rotation: { graceMs: 0 } })
        const before = (await store.users.findUser({ id }, now))?.revision
        await edit({ disabledAt: now, disabledReason: 'on leave' })
        const blocked = await take(store, code)
        assert.deepEqual(blocked, {
          kind: 'blocked',
          user: { id, disabledAt: now, disabledReason: 'on leave' },
        })
        assert.equal((await store.claims.findClaim(code, now + 1))?.user.disabledReason, 'on leave')
        await edit({ disabledAt: null, expiresAt: now + 1 })
        assert.deepEqual(await take(store, code), { kind: 'blocked', user: { id, expiresAt: now + 1 } })
        assert.equal(
          (await store.users.findUser({ id }, now))?.accessToken,
          accessToken,
          'nothing was rotated',
        )
        await edit({ expiresAt: null })
        assert.deepEqual(await states(store, id), ['open'])
        const rotated = await store.users.rotateToken({ id }, undefined, by(now))
        assert.ok(rotated.kind === 'rotated' && (before ?? 0) < rotated.user.revision)
        const plain = await link(store, prepared)
        const again = await store.users.rotateToken({ id }, undefined, by(now))
        assert.equal(
          tokenOf(await take(store, plain.code)),
          again.kind === 'rotated' && again.user.accessToken,
        )
      }))

    it('make the access token anew where they were made to, and the one before works on for the grace', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { id, accessToken } = prepared.user
        const stateOf = async (each: string) => (await store.users.findTokenStates([each]))[0]
        const { code } = await link(store, prepared, { rotation: { graceMs: hourMs } })
        assert.deepEqual(await stateOf(accessToken), { kind: 'present' })
        const taken = await take(store, code)
        assert.ok(taken.kind === 'taken' && taken.user.accessToken !== accessToken)
        assert.equal(taken.previousUntil, now + 1 + hourMs)
        assert.deepEqual(await stateOf(accessToken), { kind: 'old', until: now + 1 + hourMs })
        assert.deepEqual(await stateOf(taken.user.accessToken), { kind: 'present' })
        const atOnce = await take(store, (await link(store, prepared, { rotation: { graceMs: 0 } })).code)
        assert.ok(atOnce.kind === 'taken' && atOnce.previousUntil === undefined)
        assert.deepEqual(await stateOf(taken.user.accessToken), { kind: 'unknown' })
        assert.equal((await store.users.findUser({ id }, now))?.accessToken, atOnce.user.accessToken)
      }))

    it('end with the very secret that made them: deleted, replaced, expired', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { user, keyId } = prepared
        const { code } = await link(store, prepared)
        await store.adminKeys.rotateAdminKey(
          keyId,
          { secret: 'another-secret', previousUntil: now + hourMs },
          by(now),
        )
        assert.ok(await store.claims.findClaim(code, now + hourMs - 1))
        assert.equal((await take(store, code, now + hourMs)).kind, 'ended')
        assert.deepEqual(await states(store, user.id, now + hourMs), ['revoked'])
        const short = {
          name: 'short',
          secret: 'a-short-lived-key',
          scopes: ['admin'] as const,
          expiresAt: now + 10,
        }
        const key = await store.adminKeys.insertAdminKey(short, by(now))
        const ofShort = await link(store, prepared, { madeWith: { keyId: key.id, secret: short.secret } })
        assert.equal(await store.claims.findClaim(ofShort.code, now + 10), undefined)
        assert.ok(await store.claims.findClaim(ofShort.code, now + 9))
        assert.equal(await store.adminKeys.deleteAdminKey(key.id, by(now)), 'deleted')
        assert.equal((await take(store, ofShort.code)).kind, 'ended')
      }))

    it('end with the session’s key, not with the session, and with another ADMIN_KEY', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { user, keyId } = prepared
        const session = await store.sessions.insertSession(
          {
            secret: 's',
            keyId,
            openedBy: adminSecret,
            isCoded: false,
            expiresAt: now + dayMs,
            idleUntil: now + dayMs,
            address: '',
          },
          by(now),
        )
        const { code } = await link(store, prepared, { madeWith: { sessionId: session.id } })
        await store.sessions.deleteSession(session.id, by(now))
        assert.ok(await store.claims.findClaim(code, now + 1))
        const configured = (secret: string): ConfiguredOpeners => ({
          key: {
            secret,
            key: { id: configuredKeyId, name: 'environment', createdAt: now, scopes: ['admin'] },
          },
        })
        const madeWith = { keyId: configuredKeyId, secret: 'the-admin-key' }
        const ofAdmin = await link(store, prepared, { madeWith }, configured('the-admin-key'))
        assert.ok(await store.claims.findClaim(ofAdmin.code, now + 1, configured('the-admin-key')))
        for (const other of [configured('a-new-admin-key'), undefined]) {
          assert.equal(await store.claims.findClaim(ofAdmin.code, now + 1, other), undefined)
          const taken = await store.claims.takeClaim(ofAdmin.code, { now: now + 1, ...asked }, other)
          assert.equal(taken.kind, 'ended')
          assert.equal((await store.claims.listClaims(user.id, now + 1, other))[0]?.state, 'revoked')
        }
      }))

    it('end with the second factor of their key, where its secret alone has made them', () =>
      withStore(create, async (store) => {
        const prepared = await prepare(store)
        const { user, keyId } = prepared
        const { code } = await link(store, prepared)
        const { secondFactors } = store
        await secondFactors.beginSecondFactor(keyId, { secret: 'ABCDEFGH', recoveryCodes: [] }, by(now + 1))
        assert.ok(await store.claims.findClaim(code, now + 2), 'it does not apply yet')
        const confirmation = { secret: 'ABCDEFGH', step: 1, sessionId: undefined }
        assert.ok(await secondFactors.confirmSecondFactor(keyId, confirmation, by(now + 2)))
        assert.equal(await store.claims.findClaim(code, now + 3), undefined)
        assert.equal((await take(store, code, now + 3)).kind, 'ended')
        assert.deepEqual(await states(store, user.id, now + 3), ['revoked'])
        const coded = {
          ...{ secret: 's', keyId, openedBy: adminSecret, isCoded: true, address: '' },
          ...{ expiresAt: now + dayMs, idleUntil: now + dayMs },
        }
        const session = await store.sessions.insertSession(coded, by(now + 3))
        const madeWith = { sessionId: session.id }
        const ofSession = await link(store, prepared, { madeWith }, undefined, now + 3)
        assert.equal(tokenOf(await take(store, ofSession.code, now + 4)), user.accessToken)
      }))

    it('end with what the groups of the person may do in whose session they were made', () =>
      withStore(create, async (store) => {
        const { user } = await prepare(store)
        const issuer = 'https://login.example.org'
        const person: Person = {
          issuer,
          subject: 's1',
          name: 'Kim',
          groups: ['ops'],
          scopes: ['tokens:reveal', 'users:write'],
        }
        const session = await store.sessions.insertSession(
          {
            ...{ secret: 's', keyId: 'sso_1', openedBy: person, isCoded: false, address: '' },
            ...{ expiresAt: now + hourMs, idleUntil: now + hourMs },
          },
          by(now),
        )
        const may = (
          groups: Record<string, readonly ('tokens:reveal' | 'users:read' | 'users:write' | 'admin')[]>,
          of = issuer,
        ) => ({
          signOn: { issuer: of, groups },
        })
        const allowed = may({ ops: ['admin'] })
        const madeWith = { sessionId: session.id }
        const rotating = { madeWith, rotation: { graceMs: 0 } }
        const rotated = await link(store, { user, keyId: '' }, rotating, allowed)
        const withoutWriting = may({ ops: ['tokens:reveal', 'users:read'] })
        assert.equal(await store.claims.findClaim(rotated.code, now + 1, withoutWriting), undefined)
        const refused = await store.claims.takeClaim(rotated.code, { now: now + 1, ...asked }, withoutWriting)
        assert.equal(refused.kind, 'ended', 'a link that rotates needs what a rotation needs')
        assert.ok(
          await store.claims.findClaim(rotated.code, now + 1, may({ ops: ['tokens:reveal', 'users:write'] })),
        )
        const { code } = await link(store, { user, keyId: '' }, { madeWith }, allowed)
        assert.ok(await store.claims.findClaim(code, now + 1, withoutWriting))
        await store.sessions.deleteSession(session.id, by(now))
        const others = [
          may({ ops: ['users:read'] }),
          may({ others: ['admin'] }),
          may({ ops: ['admin'] }, 'https://elsewhere.example.org'),
          {},
          undefined,
        ]
        for (const openers of others) {
          assert.equal(await store.claims.findClaim(code, now + hourMs, openers), undefined)
          const taken = await store.claims.takeClaim(code, { now: now + 1, ...asked }, openers)
          assert.equal(taken.kind, 'ended')
        }
        const taken = await store.claims.takeClaim(code, { now: now + 2 * hourMs, ...asked }, allowed)
        assert.equal(tokenOf(taken), user.accessToken)
      }))

    it('are written down: who made, used and revoked them, and no code', () =>
      withStore(create, async (store, database) => {
        const prepared = await prepare(store)
        const { user } = prepared
        const made = [await link(store, prepared), await link(store, prepared, { rotation: { graceMs: 5 } })]
        await take(store, made[1]?.code ?? '')
        const last = await link(store, prepared)
        await store.claims.revokeClaim(user.id, last.id, by(now + 2))
        const { changes } = await store.changes.listChanges({ filter: { object: user.id }, limit: 50 })
        const told = changes
          .toReversed()
          .map(({ kind: what, before, after }) => [what, before?.claim, after?.claim])
        const [first, second] = made.map(({ id }) => id)
        assert.deepEqual(told, [
          ['user.created', undefined, undefined],
          ['user.claim_made', undefined, first],
          ['user.claim_made', first, second],
          ['user.claim_used', second, null],
          ['user.token_rotated', undefined, undefined],
          ['user.claim_made', undefined, last.id],
          ['user.claim_revoked', last.id, null],
        ])
        for (const change of changes.filter(({ at }) => at === now + 1)) {
          assert.deepEqual(change.actor, { kind: 'claim', id: second })
          assert.deepEqual([change.requestId, change.address], [asked.requestId, asked.address])
        }
        assert.equal((await store.changes.checkChain()).kind, 'intact')
        const rows = JSON.stringify([
          await database.rows('select * from changes'),
          await database.rows('select * from claims'),
        ])
        for (const { code } of [...made, last])
          assert.ok(!rows.includes(code.slice(4, 20)), 'the code is stored')
        assert.ok(!rows.includes(user.accessToken.slice(6, 20)))
      }))

    it('go with their user, and are removed a while after their end', () =>
      withStore(create, async (store, database) => {
        const prepared = await prepare(store, { type: 'temporary', expiresAt: now + hourMs })
        const { user } = prepared
        const { code } = await link(store, prepared)
        for (let count = 1; count > 0; )
          count = await store.upkeep.purgeUsers(now + 2 * hourMs, 10, by(now + 2 * hourMs))
        assert.equal(await store.users.findUser({ id: user.id }, now), undefined)
        assert.equal((await take(store, code)).kind, 'ended')
        assert.equal((await database.rows('select id from claims')).length, 0)
        const next = await store.users.insertUser({}, by(now))
        const other = { ...prepared, user: next.kind === 'created' ? next.user : assert.fail() }
        for (let index = 0; index < claimsKeptMax + 3; index += 1)
          await link(store, other, { expiresAt: now + hourMs + index }, undefined, now + index)
        const kept = await store.claims.listClaims(other.user.id, now)
        assert.equal(kept.length, claimsKeptMax)
        assert.equal(kept[0]?.expiresAt, now + hourMs + claimsKeptMax + 2)
        assert.equal(await store.upkeep.purgeClaims(now + hourMs + claimsKeptMax + 2, 4), 4)
        for (let count = 1; count > 0; )
          count = await store.upkeep.purgeClaims(now + hourMs + claimsKeptMax + 2, 4)
        assert.equal((await store.claims.listClaims(other.user.id, now)).length, 1)
      }))

    it('are found after the master key was replaced, twice', async () => {
      const database = await create()
      const keys = [1, 2, 3].map((byte) => Buffer.alloc(32, byte))
      try {
        let store = await openStore(database.settings({ masterKey: keys[0] ?? assert.fail() }))
        const prepared = await prepare(store)
        const { code } = await link(store, prepared)
        await store.close()
        for (const index of [1, 2]) {
          const [masterKeyPrevious, masterKey = assert.fail()] = [keys[index - 1], keys[index]]
          await database.change('update instances set seen_at = 0')
          const { database: where } = database.settings()
          const rekeyed = await rekeyStore(
            {
              ...{ database: where, masterKey, masterKeyPrevious },
            },
            { signal: new AbortController().signal, onProgress: () => undefined },
          )
          assert.equal(rekeyed.kind, 'rekeyed')
          store = await openStore(database.settings({ masterKey }))
          const found = await store.claims.findClaim(code, now + 1)
          if (index === 2) assert.equal(tokenOf(await take(store, code)), prepared.user.accessToken)
          await store.close()
          assert.equal(found?.user.id, prepared.user.id)
        }
      } finally {
        await database.remove()
      }
    })
  })
}
