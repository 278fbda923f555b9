import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { instantMax, readInstant } from './instant.ts'

const atOf = (value: unknown) => {
  const reading = readInstant(value)
  return reading.kind === 'read' ? reading.value : undefined
}
const messageOf = (value: unknown) => {
  const reading = readInstant(value)
  return reading.kind === 'invalid' ? reading.message : ''
}

describe('instants from outside', () => {
  it('are epoch milliseconds up to what a Date can hold', () => {
    for (const at of [0, 5, 99_999_999, 100_000_000_000, Date.parse('2026-11-22'), instantMax])
      assert.equal(atOf(at), at)
    const wrong = [
      -1,
      0.5,
      instantMax + 1,
      2 ** 53,
      Number.POSITIVE_INFINITY,
      Number.NaN,
      '1795352400000',
      null,
      {},
    ]
    for (const value of wrong)
      assert.match(messageOf(value), /must be epoch milliseconds from 0 to 8640+, or/)
  })

  it('are not Unix seconds, and the milliseconds are told', () => {
    assert.match(messageOf(1_795_352_400), /seconds.*send 1795352400000$/)
    assert.match(messageOf(1_795_352_400.25), /send 1795352400250$/)
    assert.match(messageOf(100_000_000), /send 100000000000$/)
    assert.match(messageOf(99_999_999_999), /send 99999999999000$/)
  })

  it('are texts with their offset', () => {
    const at = Date.parse('2026-11-22T13:00:00Z')
    for (const text of [
      '2026-11-22T13:00:00Z',
      '2026-11-22T13:00Z',
      '2026-11-22t13:00:00.000z',
      '2026-11-22T13:00:00.000000000Z',
      '2026-11-22T14:00:00+01:00',
      '2026-11-22T07:30:00.0-05:30',
    ])
      assert.equal(atOf(text), at, text)
    assert.equal(atOf('2026-11-22T13:00:00.123999Z'), at + 123)
    assert.equal(atOf('1971-01-01T00:00:00Z'), 31_536_000_000, 'a text says its unit')
  })

  it('are no texts that could mean two instants, or that no calendar has', () => {
    for (const text of [
      '2026-11-22',
      '2026-11-22T13:00:00',
      '2026-11-22 13:00:00Z',
      '2026-02-30T00:00:00Z',
      '2026-11-22T25:00:00Z',
      '2026-11-22T13:00:61Z',
      '1969-12-31T23:59:59Z',
      '0001-01-01T00:00:00Z',
      '22.11.2026',
      'tomorrow',
      '',
    ])
      assert.match(messageOf(text), /such as 2026-11-22T13:00:00Z$/, text)
  })
})
