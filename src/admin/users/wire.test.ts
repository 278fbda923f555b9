import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { clear } from '#admin/request/token-sight.ts'
import { builtInFamilies } from '#core/family.ts'
import type { User, UserQuota } from '#core/user.ts'
import { createUserWire } from './wire.ts'

const families = [{ name: 'small', models: ['*-mini'] }]
const wire = createUserWire(families)

function editOf(value: unknown) {
  const parsed = wire.parseEdit(value)
  assert.equal(parsed.kind, 'read', JSON.stringify(parsed))
  return parsed.kind === 'read' ? parsed.value.edit : {}
}

const user: User = {
  id: 'usr_000000000000000000000000',
  accessToken: 'secret',
  type: 'normal',
  addresses: [],
  promptCount: 0,
  createdAt: 1,
  limits: {},
  quotas: new Map(),
  revision: 1,
}

describe('users on the wire', () => {
  it('speak the operator’s families and the contract’s four', () => {
    assert.deepEqual(Object.keys(wire.toUser(user, clear).tokenCounts), [
      'small',
      'turbo',
      'gpt4',
      'gpt4-32k',
      'claude',
    ])
    assert.deepEqual(editOf({ tokenLimits: { small: 1, claude: 2 } }).quotaLimits, { small: 1, claude: 2 })
  })

  it('show the family of all other names only where it was used or is limited, and take back what they show', () => {
    const shown = (quotas: User['quotas'], limits = {}) => {
      const builtIn = createUserWire(builtInFamilies, limits)
      const { tokenCounts, tokenLimits } = builtIn.toUser({ ...user, quotas }, clear)
      assert.equal(builtIn.parseEdit({ tokenCounts, tokenLimits }).kind, 'read')
      return [tokenCounts.other, tokenLimits.other, Object.keys(tokenCounts).length]
    }
    const of = (quota: Partial<UserQuota>) =>
      new Map([['other', { extra: 0, used: 0, reserved: 0, openRequests: 0, ...quota }]])
    assert.deepEqual(shown(new Map()), [undefined, undefined, 4])
    assert.deepEqual(shown(of({})), [undefined, undefined, 4])
    assert.deepEqual(shown(of({ used: 7 })), [7, undefined, 5])
    assert.deepEqual(shown(of({ reserved: 7 })), [0, undefined, 5])
    assert.deepEqual(shown(of({ limit: 0 })), [0, 0, 5])
    assert.deepEqual(shown(new Map(), { other: 9 }), [0, undefined, 5])
  })

  it('an edit holds what was sent and no more', () => {
    assert.deepEqual(editOf({}), {})
    assert.deepEqual(editOf({ unknown: 1, id: 'x', tokenRefresh: {}, tokenHours: 3 }), {})
    assert.deepEqual(editOf({ nickname: null, maxIps: null, meta: null }), {
      nickname: null,
      limits: { maxIps: null },
      meta: null,
    })
    assert.deepEqual(editOf({ ip: null }), { addresses: [] })
    assert.deepEqual(editOf({ tokenLimits: null }).quotaLimits, {
      small: null,
      turbo: null,
      gpt4: null,
      'gpt4-32k': null,
      claude: null,
    })
    assert.deepEqual(editOf({ tokenLimits: {}, tokenCounts: { small: 0 } }), {
      quotaLimits: {},
      quotaUsed: { small: 0 },
    })
  })

  it('shows a fresh user with what is set and nothing else', () => {
    assert.deepEqual(wire.toUser(user, clear), {
      token: 'secret',
      id: user.id,
      ip: [],
      type: 'normal',
      promptCount: 0,
      tokenLimits: {},
      tokenCounts: { small: 0, turbo: 0, gpt4: 0, 'gpt4-32k': 0, claude: 0 },
      createdAt: 1,
    })
  })

  it('leaves out a family that is no longer known, so that what was read can be put back', () => {
    const none = { extra: 0, reserved: 0, openRequests: 0 }
    const quotas = new Map([
      ['gone', { ...none, limit: 5, used: 5 }],
      ['small', { ...none, used: 3, reserved: 1 }],
    ])
    const { tokenCounts, tokenLimits } = wire.toUser({ ...user, quotas }, clear)
    assert.deepEqual([tokenLimits, tokenCounts.gone, tokenCounts.small], [{}, undefined, 3])
    assert.equal(wire.parseEdit({ tokenCounts }).kind, 'read')
  })

  it('counts too many before it looks at them', async () => {
    const kindOf = async (users: unknown[]) => (await wire.parseBulk({ users }, 2, clear)).kind
    assert.equal(await kindOf([1, 2, 3]), 'too_many')
    assert.equal(await kindOf([1, 2]), 'invalid')
    assert.equal(await kindOf([{ token: 'a' }, { token: 'a' }]), 'read')
  })

  it('never throws, whatever JSON it gets, and never changes a prototype', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        const value: unknown = JSON.parse(text)
        wire.parseEdit(value)
        await wire.parseBulk({ users: [value] }, 5, clear)
        wire.parseEdit({ meta: { value }, tokenLimits: value, ip: value })
      }),
    )
    assert.equal(Object.keys(Object.prototype).length, 0)
  })

  it('keeps odd texts of meta and refuses those that a database cannot', () => {
    for (const kept of ['\\u0000', '\\\\u0000', '\\', '😀', 'a\tb'])
      assert.deepEqual(editOf({ meta: { kept } }).meta, { kept })
    for (const bad of ['\0', '\\\0', '\ud800', 'a\udfff'])
      assert.equal(wire.parseEdit({ meta: { bad } }).kind, 'invalid')
    assert.equal(wire.parseEdit({ meta: { '\0': 1 } }).kind, 'invalid')
  })

  it('counts a nickname in characters', () => {
    assert.equal(wire.parseEdit({ nickname: '😀'.repeat(80) }).kind, 'read')
    assert.equal(wire.parseEdit({ nickname: '😀'.repeat(81) }).kind, 'invalid')
  })
})
