import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createLane } from '#lib/lane.ts'
import { createSharedWrites } from '#storage/sqlite/shared-writes.ts'
import { openThread } from '#storage/sqlite/threads/thread.ts'
import type { UserCreated, UserWrite } from '#storage/store/users.ts'
import { StoreFault } from '#storage/store.ts'
import { by } from '../support/by.ts'
import { databases, testPolicy, withStore } from '../support/stores.ts'

/** Writes of the control plane that come at once, of which some are refused and some fail. */
const now = Date.parse('2026-11-22T12:00:00Z')

for (const { name, create } of databases) {
  describe(`writes at once on ${name}`, () => {
    it('are done each for itself, whatever becomes of the others', () =>
      withStore(create, async (store, database) => {
        const named = (accessToken: string, nickname: string): UserWrite => ({
          ref: { accessToken },
          edit: { nickname },
        })
        await store.users.writeUsers([named('damaged', 'before')], by(now))
        await database.change("update users set type = 'odd'")
        const write = (one: UserWrite) => store.users.writeUsers([one], by(now))
        const good = Array.from({ length: 40 }, (_, index) => write(named(`good ${index}`, `good ${index}`)))
        const unknown = write({ ref: { id: 'usr_none' }, edit: {} })
        const invalid = store.users.insertUser({ type: 'temporary' }, by(now))
        const damaged = write(named('damaged', 'after'))
        // All or none of one call, also beside others: the second row of each cannot be stored.
        const unstorable = name === 'SQLite' ? ({} as never) : 'U+0000: \0'
        const odd = { ref: { accessToken: 'odd' }, edit: { nickname: unstorable } }
        const half = [1, 2].map(() => store.users.writeUsers([named('never', 'never'), odd], by(now)))
        const more = Array.from({ length: 40 }, (_, index) => write(named(`more ${index}`, `more ${index}`)))
        const failing = await Promise.allSettled([damaged, ...half])
        for (const one of failing) assert.ok(one.status === 'rejected' && one.reason instanceof StoreFault)
        assert.deepEqual(await unknown, { kind: 'unknown', index: 0 })
        assert.equal((await invalid).kind, 'invalid')
        for (const result of await Promise.all([...good, ...more])) assert.equal(result.kind, 'written')
        const names = (await database.rows('select nickname from users')).map(({ nickname }) => nickname)
        const expected = Array.from({ length: 40 }, (_, index) => [`good ${index}`, `more ${index}`]).flat()
        assert.deepEqual(names.toSorted(), [...expected, 'before'].toSorted())
      }))
  })
}

describe('writes that share a turn', () => {
  it('share turns of the lane, and each is answered', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tollgate-shared-'))
    const settings = { path: join(folder, 'tollgate.db'), masterKey: Buffer.alloc(32, 7) }
    const writer = await openThread('writer', { ...settings, policy: testPolicy, instance: 'test' })
    try {
      const lane = createLane()
      let turns = 0
      let forgotten = 0
      const counted = {
        run: <T>(work: () => Promise<T>) => {
          turns++
          return lane.run(work)
        },
      }
      const write = createSharedWrites(counted, writer, () => {
        forgotten++
      })
      const insert = (nickname: string) =>
        write({ name: 'users.insertUser', args: [{ nickname }, by(now)], isOfAddresses: false })
      const results = await Promise.all(Array.from({ length: 100 }, (_, index) => insert(`user ${index}`)))
      const created = results.map((result) => result as UserCreated)
      const names = created.map((result) => (result.kind === 'created' ? result.user.nickname : result.kind))
      assert.deepEqual(
        names,
        Array.from({ length: 100 }, (_, index) => `user ${index}`),
      )
      assert.ok(turns <= 4, `${turns} turns`)
      assert.equal(forgotten, 0)
      await write({ name: 'users.writeUsers', args: [[], by(now)], isOfAddresses: true })
      assert.equal(forgotten, 1)
      turns = 0
      const many = Array.from({ length: 100 }, () => ({ ref: { accessToken: 'one' }, edit: {} }))
      const writeMany = () => write({ name: 'users.writeUsers', args: [many, by(now)], isOfAddresses: true })
      await Promise.all([insert('before'), writeMany(), insert('between'), writeMany()])
      // A write of many users holds a turn for itself, so that admissions come in between.
      assert.equal(turns, 4)
    } finally {
      await writer.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
