import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createVault, lookupBy, lookupsOf } from './vault.ts'

describe('vault', () => {
  const vault = createVault({ masterKey: Buffer.alloc(32, 1) })

  it('gives a sealed text back to its owner only, and only whole', () => {
    const sealed = vault.seal('sk-tg-secret', 'usr_1')
    assert.equal(vault.unseal(sealed, 'usr_1'), 'sk-tg-secret')
    assert.throws(() => vault.unseal(sealed, 'usr_2'))
    const bytes = Buffer.from(sealed.slice(vault.version.length), 'base64')
    assert.ok(!bytes.includes('secret'))
    for (const index of [0, 12, bytes.length - 1]) {
      const broken = Buffer.from(bytes)
      broken[index] = (broken[index] ?? 0) ^ 1
      assert.throws(() => vault.unseal(vault.version + broken.toString('base64'), 'usr_1'), `byte ${index}`)
    }
  })

  it('never seals the same way twice, and always looks up the same way', () => {
    assert.notEqual(vault.seal('x', 'usr_1'), vault.seal('x', 'usr_1'))
    assert.equal(vault.lookupOf('x'), vault.lookupOf('x'))
    assert.notEqual(vault.lookupOf('x'), vault.lookupOf('y'))
  })

  it('shares nothing with another master key', () => {
    const other = createVault({ masterKey: Buffer.alloc(32, 2) })
    assert.notEqual(other.lookupOf('x'), vault.lookupOf('x'))
    assert.notEqual(other.fingerprint, vault.fingerprint)
    assert.throws(() => other.unseal(vault.seal('x', 'usr_1'), 'usr_1'))
    assert.throws(() => createVault({ masterKey: Buffer.alloc(16) }), RangeError)
  })

  it('reads texts of either key while one is replaced, with and without a version, and writes with the present one', () => {
    const [before, after] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const old = createVault({ masterKey: before })
    const both = createVault({ masterKey: after, masterKeyPrevious: before })
    const fresh = createVault({ masterKey: after })
    const bare = (sealed: string) => sealed.slice(old.version.length)
    for (const sealed of [
      old.seal('x', 'usr_1'),
      bare(old.seal('x', 'usr_1')),
      bare(fresh.seal('x', 'usr_1')),
    ])
      assert.equal(both.unseal(sealed, 'usr_1'), 'x', sealed)
    assert.equal(old.unseal(bare(old.seal('x', 'usr_1')), 'usr_1'), 'x')
    assert.throws(() => fresh.unseal(old.seal('x', 'usr_1'), 'usr_1'))
    assert.throws(() => both.unseal(createVault({ masterKey: Buffer.alloc(32, 3) }).seal('x', 'u'), 'u'))
    const sealed = both.seal('x', 'usr_1')
    assert.ok(sealed.startsWith(fresh.version) && fresh.version !== old.version)
    assert.equal(fresh.unseal(sealed, 'usr_1'), 'x')
    assert.deepEqual(lookupsOf(both, 'x'), [fresh.lookupOf('x'), old.lookupOf('x')])
    assert.deepEqual(lookupsOf(fresh, 'x'), [fresh.lookupOf('x')])
    assert.equal(lookupBy(both.otherLookupKey ?? '', 'x'), old.lookupOf('x'))
  })
})
