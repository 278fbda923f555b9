import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createAccessToken,
  isMask,
  isOwnAccessToken,
  maskOf,
  mayBeAccessToken,
  shownPartOf,
} from './access-token.ts'
import { createUserId, isUserId } from './user-id.ts'

describe('access tokens', () => {
  it('are of the documented shape and never the same', () => {
    const made = new Set(Array.from({ length: 2000 }, createAccessToken))
    assert.equal(made.size, 2000)
    for (const one of made) assert.match(one, /^sk-tg-[0-9A-Za-z]{38}$/)
  })

  it('tells its own by their checksum', () => {
    const one = createAccessToken()
    assert.ok(isOwnAccessToken(one))
    const other = one[10] === 'x' ? 'y' : 'x'
    for (const not of [`${one.slice(0, 10)}${other}${one.slice(11)}`, `${one}0`, one.slice(0, -1), 'sk-tg-'])
      assert.ok(!isOwnAccessToken(not), not)
  })

  it('accepts any given text of 1 to 512 characters without control characters', () => {
    for (const given of ['a', '__proto__', 'a/b', 'with spaces', '🎟️', 'x'.repeat(512)])
      assert.ok(mayBeAccessToken(given), given)
    for (const given of ['', 'x'.repeat(513), 'a\nb', 'a\u0000', '\u007f', '\u0085'])
      assert.ok(!mayBeAccessToken(given), JSON.stringify(given))
  })

  it('shows at most the last four characters, fewer of a short one', () => {
    const one = createAccessToken()
    assert.equal(shownPartOf(one), `sk-tg-…${one.slice(-4)}`)
    assert.equal(shownPartOf('abc'), '…')
    assert.equal(shownPartOf('abcdefgh'), '…gh')
  })
})

describe('masked access tokens', () => {
  it('show four characters at each end of our own, and of chosen ones what a search finds', () => {
    const one = createAccessToken()
    assert.equal(maskOf(one), `sk-tg-${one.slice(6, 10)}…${one.slice(-4)}`)
    // The form of our own, but not its checksum: it was chosen.
    const chosen = `sk-tg-${'a'.repeat(38)}`
    for (const other of [chosen, 'a-token-of-16-ch', 'abc', '🎟️🎟️🎟️🎟️', 'x'.repeat(512)])
      assert.equal(maskOf(other), shownPartOf(other))
  })

  it('are recognised, so that none becomes the token of a new user', () => {
    for (const each of [createAccessToken(), 'a-token-of-16-ch', 'abc', '🎟️🎟️🎟️🎟️', 'sk-tg-chosen'])
      assert.ok(isMask(maskOf(each)), each)
    for (const each of [createAccessToken(), 'a…token of its own', '…12345', 'sk-tg-', ''])
      assert.ok(!isMask(each), each)
  })
})

describe('user ids', () => {
  it('are recognised, sort by time, and are not mistaken for access tokens', () => {
    const now = Date.parse('2026-11-22T00:00:00Z')
    const ids = Array.from({ length: 500 }, (_, index) => createUserId(now + index))
    assert.equal(new Set(ids).size, 500)
    assert.deepEqual(ids.toSorted(), ids)
    for (const id of ids) assert.ok(isUserId(id), id)
    for (const none of ['usr_', 'usr_short', `${ids[0]}x`, createAccessToken()]) assert.ok(!isUserId(none))
  })
})
