import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Scope } from './scopes.ts'
import { type GroupScopes, presentScopes, scopesOfGroups } from './sign-on.ts'

const issuer = 'https://login.example.org'

describe('the groups of a person', () => {
  it('allow together what each allows, and nothing where they are not known', () => {
    const allowed: GroupScopes = { a: ['users:read'], b: ['users:read', 'usage:read'] }
    assert.deepEqual(scopesOfGroups(['a', 'b', 'a', 'x'], allowed), ['users:read', 'usage:read'])
    assert.deepEqual(scopesOfGroups(['x', 'constructor', '__proto__'], allowed), [])
  })

  it('allow within a session no more than at its login, nor than they do since', () => {
    const now = (scopes: readonly Scope[], a: readonly Scope[] | undefined) =>
      presentScopes(
        { issuer, subject: 's', name: 'n', groups: ['a'], scopes },
        { issuer, groups: a ? { a } : {} },
      )
    assert.deepEqual(now(['users:read'], ['admin']), ['users:read'])
    assert.deepEqual(now(['admin'], ['users:read']), ['users:read'])
    assert.deepEqual(now(['users:write'], ['users:read']), ['users:read'], 'which it includes')
    assert.deepEqual(now(['users:read'], ['usage:read']), [])
    assert.deepEqual(now(['admin'], undefined), [])
    const other = { issuer: 'https://other.example', groups: { a: ['admin'] as const } }
    assert.equal(
      presentScopes({ issuer, subject: 's', name: 'n', groups: ['a'], scopes: ['admin'] }, other),
      undefined,
    )
  })
})
