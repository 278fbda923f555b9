import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { disableEdit, editProfile, type UserEdit, type UserProfile } from './user-edit.ts'

const now = 1_800_000_000_000

function edited(current: UserProfile | undefined, edit: UserEdit): UserProfile {
  const result = editProfile(current, edit, now)
  assert.equal(result.kind, 'profile')
  return result.kind === 'profile' ? result.profile : assert.fail()
}

describe('editProfile', () => {
  it('makes a normal user of nothing', () => {
    assert.deepEqual(edited(undefined, {}), {
      type: 'normal',
      addresses: [],
      promptCount: 0,
      createdAt: now,
      limits: {},
    })
  })

  it('leaves alone what is absent and clears what is null', () => {
    const before = edited(undefined, {
      nickname: 'Ann',
      adminNote: 'n',
      meta: { a: 1 },
      lastUsedAt: 5,
      expiresAt: now + 1,
      limits: { requestsPerMinute: 3, period: 'daily' },
    })
    assert.deepEqual(edited(before, {}), before)
    const cleared = edited(before, {
      nickname: null,
      meta: null,
      expiresAt: null,
      limits: { requestsPerMinute: null },
    })
    assert.deepEqual(cleared, {
      type: 'normal',
      addresses: [],
      promptCount: 0,
      createdAt: now,
      adminNote: 'n',
      lastUsedAt: 5,
      limits: { period: 'daily' },
    })
  })

  it('refuses a temporary user without an expiry from anywhere', () => {
    assert.equal(editProfile(undefined, { type: 'temporary' }, now).kind, 'invalid')
    const before = edited(undefined, { type: 'temporary', expiresAt: now + 1 })
    assert.equal(edited(before, { nickname: 'x' }).expiresAt, now + 1)
    assert.equal(editProfile(before, { expiresAt: null }, now).kind, 'invalid')
    assert.equal(edited(before, { type: 'normal', expiresAt: null }).expiresAt, undefined)
  })

  it('enables again with disabledAt null, and forgets the reason', () => {
    const before = edited(undefined, { disabledAt: now, disabledReason: 'abuse' })
    const enabled = edited(before, { disabledAt: null })
    assert.equal(enabled.disabledAt, undefined)
    assert.equal(enabled.disabledReason, undefined)
  })

  it('keeps the newest 256 addresses, each once', () => {
    const many = Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
    const { addresses } = edited(undefined, { addresses: [...many, '10.0.0.299', ...many.slice(-1)] })
    assert.equal(addresses.length, 256)
    assert.equal(addresses.at(-1), '10.0.0.299')
  })
})

describe('disableEdit', () => {
  it('keeps the first instant, and the reason unless one is given', () => {
    assert.deepEqual(disableEdit({}, 'why', now), { disabledAt: now, disabledReason: 'why' })
    assert.deepEqual(disableEdit({ disabledAt: now - 5 }, undefined, now), {})
    assert.deepEqual(disableEdit({ disabledAt: now - 5 }, 'other', now), { disabledReason: 'other' })
    assert.deepEqual(disableEdit({ disabledAt: now + 5 }, undefined, now), { disabledAt: now })
  })
})
