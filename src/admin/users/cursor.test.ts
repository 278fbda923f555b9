import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createUserId } from '#core/user-id.ts'
import { encodeListCursor, type ListCursor, parseListCursor, sortNames, userStates } from './cursor.ts'

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
    fc.assert(
      fc.property(cursors, (cursor) => assert.deepEqual(parseListCursor(encodeListCursor(cursor)), cursor)),
    )
  })

  it('stands in a URL as it is', () => {
    fc.assert(fc.property(cursors, (cursor) => assert.match(encodeListCursor(cursor), /^[\w-]+$/)))
  })

  it('refuses any other text', () => {
    fc.assert(fc.property(fc.string(), (text) => assert.equal(parseListCursor(text), undefined)))
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const good = { total: 1, sort: 'nickname', value: 'a', id }
    assert.ok(parseListCursor(encode(good)))
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
      assert.equal(parseListCursor(encode({ ...good, ...change })), undefined, JSON.stringify(change))
    assert.equal(parseListCursor(encode({ ...good, sort: 'createdAt' })), undefined)
    assert.equal(parseListCursor(encode(null)), undefined)
  })
})
