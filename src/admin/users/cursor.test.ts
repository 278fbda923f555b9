import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createUserId } from '#core/user-id.ts'
import { encodeCursor, type ListCursor, parseCursor, sortNames, userStates } from './cursor.ts'

const id = createUserId(1_767_225_600_000)

const cursors: fc.Arbitrary<ListCursor> = fc
  .record({
    total: fc.nat(),
    sort: fc.option(fc.constantFrom(...sortNames), { nil: undefined }),
    text: fc.string({ maxLength: 50 }),
    state: fc.constantFrom(...userStates),
    number: fc.option(fc.nat()),
    name: fc.option(fc.string()),
  })
  .map(({ total, sort, text, state, number, name }) => {
    const value = sort?.endsWith('nickname') ? name : number
    return { total, sort, filter: { text, state }, after: { value, id } }
  })

describe('a cursor', () => {
  it('comes back as it went', () => {
    fc.assert(fc.property(cursors, (cursor) => assert.deepEqual(parseCursor(encodeCursor(cursor)), cursor)))
  })

  it('stands in a URL as it is', () => {
    fc.assert(fc.property(cursors, (cursor) => assert.match(encodeCursor(cursor), /^[\w-]+$/)))
  })

  it('is nothing else that somebody sends', () => {
    fc.assert(fc.property(fc.string(), (text) => assert.equal(parseCursor(text), undefined)))
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const good = { total: 1, sort: 'nickname', value: 'a', id }
    assert.ok(parseCursor(encode(good)))
    const bad = [
      { total: -1 },
      { total: '1' },
      { sort: 'id' },
      { value: 5 },
      { value: [] },
      { id: "'; drop" },
      { state: 'x' },
      { type: 1 },
      { q: 'x'.repeat(201) },
    ]
    for (const change of bad)
      assert.equal(parseCursor(encode({ ...good, ...change })), undefined, JSON.stringify(change))
    assert.equal(parseCursor(encode({ ...good, sort: 'createdAt' })), undefined)
    assert.equal(parseCursor(encode(null)), undefined)
  })
})
