import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UserWrite } from '#storage/store/users.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
/** More than are written at once, and no multiple of it. */
const count = 1_030
const accessTokenAt = (number: number) => `many-${number}`
const writeOf = (number: number, edit: UserWrite['edit'] = {}): UserWrite => ({
  ref: { accessToken: accessTokenAt(number) },
  edit: { nickname: `user ${number}`, quotaLimits: { claude: number }, ...edit },
})
const writes = Array.from({ length: count }, (_, number) => writeOf(number))

interface Shown {
  readonly token: string
  readonly id: string
  readonly nickname: string
  readonly tokenLimits: Readonly<Record<string, number>>
}

async function write(store: Store, those: readonly UserWrite[], at = now): Promise<readonly Shown[]> {
  const result = await store.users.writeUserTexts(those, by(at), false)
  assert.ok(result.kind === 'written', result.kind)
  assert.equal(result.count, those.length)
  return JSON.parse(`[${Buffer.from(result.text).toString()}]`)
}

const kindsSince = async (store: Store, place: Awaited<ReturnType<Store['changes']['lastChange']>>) => {
  const kinds: string[] = []
  for (let from = place; ; ) {
    const read = await store.changes.readChanges(from, 500)
    assert.ok(read.kind === 'read')
    kinds.push(...read.changes.map(({ kind }) => kind))
    if (read.changes.length < 500) return kinds
    from = read.place
  }
}

for (const { name, create } of databases) {
  describe(`thousands of users in one write on ${name}`, () => {
    it('are answered in the order of the writes, and leave one change each, in an unbroken chain', () =>
      withStore(create, async (store) => {
        const begin = await store.changes.lastChange()
        const made = await write(store, writes)
        assert.deepEqual(
          made.map(({ token, nickname, tokenLimits }) => [token, nickname, tokenLimits]),
          writes.map((_, number) => [accessTokenAt(number), `user ${number}`, { claude: number }]),
        )
        assert.equal(new Set(made.map(({ id }) => id)).size, count)
        assert.deepEqual(await kindsSince(store, begin), Array(count).fill('user.created'))
        const place = await store.changes.lastChange()
        // The same again changes nothing; those of some are changed.
        const edits = writes.map((each, number) =>
          number % 100 === 7 ? writeOf(number, { promptCount: 3 }) : each,
        )
        const again = await write(store, edits, now + 1)
        assert.deepEqual(
          again.map(({ id }) => id),
          made.map(({ id }) => id),
        )
        assert.deepEqual(await kindsSince(store, place), Array(11).fill('user.updated'))
        assert.equal((await store.changes.checkChain()).kind, 'intact')
      }))

    it('are one edit for a user who is named twice, however far apart', () =>
      withStore(create, async (store) => {
        await write(store, writes.slice(0, 10))
        const before = await store.users.findUser({ accessToken: accessTokenAt(3) }, now)
        const place = await store.changes.lastChange()
        const twice = [
          ...writes,
          writeOf(3, { nickname: 'last' }),
          writeOf(count, { nickname: 'new' }),
          writeOf(count),
        ]
        const shown = await write(store, twice)
        assert.deepEqual([shown[3]?.nickname, shown[count]?.nickname], ['last', 'last'])
        assert.deepEqual(
          [shown[count + 1]?.nickname, shown[count + 1]?.id],
          [`user ${count}`, shown[count + 2]?.id],
        )
        const after = await store.users.findUser({ accessToken: accessTokenAt(3) }, now)
        assert.equal(after?.revision, (before?.revision ?? 0) + 1)
        const kinds = await kindsSince(store, place)
        assert.equal(kinds.filter((kind) => kind === 'user.updated').length, 1)
        assert.equal(kinds.filter((kind) => kind === 'user.created').length, count + 1 - 10)
      }))

    it('are changed all or not at all, and the wrong one is named by its place', () =>
      withStore(create, async (store) => {
        await write(store, writes.slice(0, 500))
        const place = await store.changes.lastChange()
        for (const wrong of [0, 199, 200, 777, count - 1]) {
          const edits = writes.map((_, number) =>
            number === wrong
              ? writeOf(number, { type: 'temporary' })
              : writeOf(number, { nickname: 'changed' }),
          )
          const result = await store.users.writeUserTexts(edits, by(now), false)
          assert.partialDeepStrictEqual(result, { kind: 'invalid', index: wrong })
        }
        assert.deepEqual(await kindsSince(store, place), [])
        assert.equal(await store.users.countUsers({}, now), 500)
        assert.equal(await store.users.countUsers({ text: 'changed' }, now), 0)
      }))

    it('wait for each other where two name the same users in opposite orders', () =>
      withStore(create, async (store) => {
        await write(store, writes)
        const orders = [
          writes,
          writes.toReversed(),
          writes.toSorted((a, b) => ((a.edit.nickname ?? '') < (b.edit.nickname ?? '') ? -1 : 1)),
        ]
        await Promise.all(orders.map((those) => write(store, those)))
        const user = await store.users.findUser({ accessToken: accessTokenAt(0) }, now)
        assert.equal(user?.revision, 4)
      }))
  })
}
