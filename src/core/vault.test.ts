import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createVault } from './vault.ts'

describe('vault', () => {
  const vault = createVault(Buffer.alloc(32, 1))

  it('gives a sealed text back to its owner only, and only whole', () => {
    const sealed = vault.seal('sk-tg-secret', 'usr_1')
    assert.equal(vault.unseal(sealed, 'usr_1'), 'sk-tg-secret')
    assert.ok(!Buffer.from(sealed, 'base64').includes('secret'))
    assert.throws(() => vault.unseal(sealed, 'usr_2'))
    const bytes = Buffer.from(sealed, 'base64')
    for (const index of [0, 12, bytes.length - 1]) {
      const broken = Buffer.from(bytes)
      broken[index] = (broken[index] ?? 0) ^ 1
      assert.throws(() => vault.unseal(broken.toString('base64'), 'usr_1'), `byte ${index}`)
    }
  })

  it('never seals the same way twice, and always looks up the same way', () => {
    assert.notEqual(vault.seal('x', 'usr_1'), vault.seal('x', 'usr_1'))
    assert.equal(vault.lookupOf('x'), vault.lookupOf('x'))
    assert.notEqual(vault.lookupOf('x'), vault.lookupOf('y'))
  })

  it('shares nothing with another master key', () => {
    const other = createVault(Buffer.alloc(32, 2))
    assert.notEqual(other.lookupOf('x'), vault.lookupOf('x'))
    assert.notEqual(other.fingerprint, vault.fingerprint)
    assert.throws(() => other.unseal(vault.seal('x', 'usr_1'), 'usr_1'))
    assert.throws(() => createVault(Buffer.alloc(16)), RangeError)
  })
})
