import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { By } from '#core/change.ts'
import type { Store } from '#storage/store.ts'
import { databases, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000
const by = (at: number): By => ({ now: at, actor: { kind: 'admin_key', id: 'adk_ann', name: 'Ann' } })

/** One change each day, by a write of its own. */
async function write(store: Store, count: number, from = 0): Promise<void> {
  for (let index = from; index < from + count; index++) {
    const ref = { accessToken: `user ${index % 3}` }
    const edit = { nickname: `name ${index}` }
    assert.equal((await store.users.writeUsers([{ ref, edit }], by(now + index * dayMs))).kind, 'written')
  }
}

for (const { name, create } of databases)
  describe(`the chain of changes on ${name}`, () => {
    it('is whole as it is written, also after upkeep', () =>
      withStore(create, async (store) => {
        assert.deepEqual(await store.changes.checkChain(), { kind: 'intact', count: 0 })
        await write(store, 12)
        assert.deepEqual(await store.changes.checkChain(), { kind: 'intact', count: 12, first: 1, last: 12 })
        assert.equal(await store.upkeep.purgeChanges(now + 5 * dayMs, 3), 3)
        assert.equal(await store.upkeep.purgeChanges(now + 5 * dayMs, 3), 2)
        assert.equal(await store.upkeep.purgeChanges(now + 5 * dayMs, 3), 0)
        assert.deepEqual(await store.changes.checkChain(), { kind: 'intact', count: 7, first: 6, last: 12 })
        assert.equal(await store.upkeep.purgeChanges(now + 99 * dayMs, 50), 7)
        assert.deepEqual(await store.changes.checkChain(), { kind: 'intact', count: 0 })
        await write(store, 2, 12)
        assert.deepEqual(await store.changes.checkChain(), { kind: 'intact', count: 2, first: 13, last: 14 })
      }))

    const broken = (seq: number, what: string) => ({ kind: 'broken', seq, what })
    const copyOf = (seq: number, to: number) =>
      `insert into changes (seq, at, actor_kind, actor_id, actor_name, kind, object, fields_before, fields_after, request_id, address, hash) select ${to}, at, actor_kind, actor_id, actor_name, kind, object, fields_before, fields_after, request_id, address, hash from changes where seq = ${seq}`
    const cases: readonly (readonly [string, readonly string[], object])[] = [
      ['a field', ["update changes set fields_after = '{}' where seq = 5"], broken(5, 'altered')],
      ['an actor', ["update changes set actor_name = 'Bob' where seq = 3"], broken(3, 'altered')],
      ['a time', ['update changes set at = at + 1 where seq = 8'], broken(8, 'altered')],
      ['an address', ["update changes set address = '192.0.2.1' where seq = 8"], broken(8, 'altered')],
      ['a removed row', ['delete from changes where seq = 6'], broken(6, 'missing')],
      ['the first row', ['delete from changes where seq = 1'], broken(1, 'missing')],
      ['the last row', ['delete from changes where seq = 10'], broken(10, 'missing')],
      [
        'the last row, with the head put back',
        [
          'delete from changes where seq = 10',
          'update change_head set seq = 9, hash = (select hash from changes where seq = 9)',
        ],
        broken(9, 'end'),
      ],
      [
        'the first rows, as if upkeep had removed them',
        [
          'update change_head set removed_seq = 4, removed_hash = (select hash from changes where seq = 4)',
          'delete from changes where seq <= 4',
        ],
        broken(10, 'end'),
      ],
      [
        'two rows that changed places',
        [
          copyOf(4, 99),
          'delete from changes where seq = 4',
          copyOf(5, 4),
          'delete from changes where seq = 5',
          copyOf(99, 5),
          'delete from changes where seq = 99',
        ],
        broken(4, 'altered'),
      ],
      ['a removed head', ['delete from change_head'], broken(1, 'end')],
      ['another key', ["update change_head set key_encrypted = 'x'"], broken(1, 'key')],
    ]
    it('shows what was altered behind its back', () =>
      withStore(create, async (store, database) => {
        await write(store, 10)
        const tables = ['changes', 'change_head']
        for (const table of tables)
          await database.change(`create table kept_${table} as select * from ${table}`)
        for (const [what, statements, expected] of cases) {
          for (const statement of statements) await database.change(statement)
          assert.deepEqual(await store.changes.checkChain(), expected, what)
          for (const table of tables) {
            await database.change(`delete from ${table}`)
            await database.change(`insert into ${table} select * from kept_${table}`)
          }
          assert.equal((await store.changes.checkChain()).kind, 'intact', `after ${what}`)
        }
      }))

    it('lists changes newest first, by each filter, in pages', () =>
      withStore(create, async (store, database) => {
        await write(store, 9)
        const other: By = { now: now + 20 * dayMs, actor: { kind: 'limit', name: 'too many' } }
        await store.changes.noteChange({
          by: other,
          kind: 'login.failed',
          object: 'admin',
          after: { attempts: 3 },
        })
        const list = (filter: object, more = {}) => store.changes.listChanges({ filter, limit: 4, ...more })
        const seqs: number[] = []
        let before: number | undefined
        do {
          const page = await list({}, before === undefined ? {} : { before })
          seqs.push(...page.changes.map(({ seq }) => seq))
          before = page.next
        } while (before !== undefined)
        assert.deepEqual(seqs, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
        const [newest] = (await list({})).changes
        assert.deepEqual(newest, {
          ...{ seq: 10, at: other.now, actor: { kind: 'limit', name: 'too many' } },
          ...{ kind: 'login.failed', object: 'admin', after: { attempts: 3 } },
        })
        const those = async (filter: object) => (await list(filter)).changes.map(({ seq }) => seq)
        const object = String((await database.rows('select object from changes where seq = 2'))[0]?.object)
        assert.deepEqual(await those({ object }), [8, 5, 2])
        assert.deepEqual(await those({ actor: 'adk_ann', kind: 'user.created' }), [3, 2, 1])
        assert.deepEqual(await those({ actorKind: 'limit' }), [10])
        assert.deepEqual(await those({ from: now + dayMs, to: now + 3 * dayMs }), [3, 2])
        assert.deepEqual(await those({ actor: 'adk_bob' }), [])
        // A row that cannot be read is left out and told of.
        await database.change("update changes set fields_after = '[broken' where seq = 9")
        const page = await list({})
        assert.deepEqual([page.changes.length, page.unreadable], [3, ['9']])
      }))
  })
