import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bearerOf, createCredentialReader } from './credential.ts'

const bearers: readonly (readonly [string | undefined, string | undefined])[] = [
  [undefined, undefined],
  ['', undefined],
  ['Bearer', undefined],
  ['Bearer   ', undefined],
  ['Bearerabc', undefined],
  ['Basic abc', undefined],
  ['Bearer abc', 'abc'],
  ['bEaReR \t abc ', 'abc'],
  ['Bearer two words', 'two words'],
  ['Bearer Bearer x', 'Bearer x'],
  [`Bearer ${Buffer.from('schlüssel 😀').toString('latin1')}`, 'schlüssel 😀'],
  ['Bearer schl\u00fcssel', 'schlüssel'],
]

describe('credentials', () => {
  const credentialOf = createCredentialReader(['x-api-key'])

  for (const [header, expected] of bearers) {
    it(`reads ${JSON.stringify(header)}`, () => assert.equal(bearerOf(header), expected))
  }

  it('takes x-api-key where there is no bearer', () => {
    assert.equal(credentialOf({ 'x-api-key': ' abc ' }), 'abc')
    assert.equal(credentialOf({ authorization: 'Bearer one', 'x-api-key': 'two' }), 'one')
    assert.equal(credentialOf({ authorization: 'Basic one', 'x-api-key': 'two' }), 'two')
    assert.equal(credentialOf({ 'x-api-key': '  ' }), undefined)
    assert.equal(credentialOf({ 'x-api-key': ['a', 'b'] }), undefined)
    assert.equal(credentialOf({}), undefined)
  })
})
