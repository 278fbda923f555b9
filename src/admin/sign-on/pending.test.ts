import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPendingSeal, pendingMs } from './pending.ts'

describe('a sign-on that has begun', () => {
  it('is read back for ten minutes, on each instance with the key, whole and unaltered', () => {
    let now = 1_000_000_000_000
    const key = Buffer.alloc(32, 1).toString('base64url')
    const [one, other] = [key, key].map((each) => createPendingSeal(each, () => now))
    const foreign = createPendingSeal(Buffer.alloc(32, 2).toString('base64url'), () => now)
    const pending = { state: 's', nonce: 'n', codeVerifier: 'v', returnTo: '/docs', at: now }
    const sealed = one?.seal(pending) ?? assert.fail()
    assert.ok(!sealed.includes('docs'))
    assert.deepEqual(other?.unseal(sealed), pending)
    assert.equal(foreign.unseal(sealed), undefined)
    for (const altered of [
      '',
      'x',
      sealed.slice(0, -4),
      `${sealed.slice(0, -5)}AAAA=`,
      `${sealed}A`.slice(1),
    ])
      assert.equal(one?.unseal(altered), undefined, altered)
    now += pendingMs - 1
    assert.deepEqual(one?.unseal(sealed), pending)
    now += 1
    assert.equal(one?.unseal(sealed), undefined)
    now -= 3 * pendingMs
    assert.equal(one?.unseal(sealed), undefined, 'from the future')
  })
})
