import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { idOf, personOf } from './person.ts'

const rules = {
  issuer: 'https://login.example.org',
  groups: { admins: ['admin'], 'ann@example.org': ['users:read'] },
  groupsClaim: 'groups',
  emailDomains: [],
} as const

describe('the person that claims name', () => {
  const groupsOf = (claims: object, more: Partial<typeof rules> | object = {}) => {
    const ended = personOf({ sub: 's', ...claims }, { ...rules, ...more })
    return ended.kind === 'named' ? ended.person.groups : ended.kind === 'refused' && ended.why
  }

  it('is in the groups of a list, of a text, and of a claim within others', () => {
    assert.deepEqual(groupsOf({ groups: ['x', 'admins', 7, null] }), ['admins'])
    assert.deepEqual(groupsOf({ groups: 'admins' }), ['admins'])
    const within = { groupsClaim: 'realm_access.roles' }
    assert.deepEqual(groupsOf({ realm_access: { roles: ['admins'] } }, within), ['admins'])
    assert.deepEqual(groupsOf({ 'realm_access.roles': ['admins'] }, within), ['admins'], 'by its whole name')
    assert.equal(groupsOf({ realm_access: 'roles' }, within), 'no_group')
    for (const groups of [undefined, null, {}, [], ['ADMINS'], { admins: true }])
      assert.equal(groupsOf({ groups }), 'no_group', JSON.stringify(groups))
    assert.equal(groupsOf({ _claim_names: { groups: 'src1' } }), 'too_many_groups')
  })

  it('is known by an e-mail address only where the provider has verified it', () => {
    const byEmail = { groupsClaim: 'email' }
    const email = 'Ann@Example.org'
    assert.deepEqual(groupsOf({ email, email_verified: true }, byEmail), ['ann@example.org'])
    for (const verified of [false, 'true', 1, undefined])
      assert.equal(groupsOf({ email, email_verified: verified }, byEmail), 'no_group')
    const domains = { emailDomains: ['example.org'] }
    const from = (address: unknown, verified: unknown = true) =>
      groupsOf({ groups: 'admins', email: address, email_verified: verified }, domains)
    assert.deepEqual(from('a@EXAMPLE.org'), ['admins'])
    for (const address of [
      'a@sub.example.org',
      'a@example.org@evil.example',
      'example.org.evil',
      7,
      undefined,
    ])
      assert.equal(from(address), 'email', String(address))
    assert.equal(from('a@example.org', false), 'email')
  })

  it('has a name for people, without what moves a cursor, and an id of its issuer and subject', () => {
    const named = (claims: object) => {
      const ended = personOf({ sub: 's', groups: 'admins', ...claims }, rules)
      return ended.kind === 'named' ? ended.person : assert.fail()
    }
    assert.equal(named({ email: 'a@b.c', email_verified: true, name: 'Ann' }).name, 'a@b.c')
    assert.equal(named({ email: 'a@b.c', preferred_username: 'ann', name: 'Ann' }).name, 'ann')
    assert.equal(named({ name: ' A\u001b[2J\nn\u202en ' }).name, 'A[2Jnn')
    assert.equal(named({ name: 'x'.repeat(500) }).name.length, 80)
    assert.equal(named({ name: '\n' }).name, 's')
    assert.match(idOf(named({})), /^sso_[0-9a-f]{24}$/)
    assert.notEqual(idOf(named({})), idOf({ ...named({}), issuer: 'https://other.example' }))
    for (const sub of ['', 7, undefined, 's\n', ' s', 'x'.repeat(256)])
      assert.deepEqual(personOf({ sub, groups: 'admins' }, rules), { kind: 'refused', why: 'wrong' })
  })
})
