import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { clear } from '#admin/request/token-sight.ts'
import { builtInFamilies } from '#core/family.ts'
import type { User, UserQuota } from '#core/user.ts'
import { createUserId } from '#core/user-id.ts'
import { createUserText } from '#core/user-text.ts'
import { createUserWire } from './wire.ts'

/** Users with any of their fields, of families that are configured and of one that is not. */
const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const text = fc.string({ unit: 'binary', maxLength: 20 })
const quota: fc.Arbitrary<UserQuota> = fc.record(
  { limit: count, extra: count, used: count, reserved: count, openRequests: count },
  { requiredKeys: ['extra', 'used', 'reserved', 'openRequests'] },
)
const names = [...builtInFamilies.map(({ name }) => name), 'a "quoted" one', 'gone']
const limits = fc.record(
  {
    ...{ requestsPerMinute: count, concurrentRequests: count, maxIps: count, ipWindowDays: count },
    ipLimitAction: fc.constantFrom('refuse' as const, 'disable' as const),
    allowedNetworks: fc.array(text),
    allowedModels: fc.array(text),
    period: fc.constantFrom('daily' as const, 'monthly' as const),
  },
  { requiredKeys: [] },
)
const optional = fc.record(
  {
    ...{ nickname: text, lastUsedAt: count, disabledAt: count, disabledReason: text, expiresAt: count },
    ...{ adminNote: text, tags: fc.array(text), meta: fc.dictionary(text, fc.jsonValue()) },
  },
  { requiredKeys: [] },
)
const user: fc.Arbitrary<User> = fc
  .record({
    ...{ accessToken: text, type: fc.constantFrom('normal', 'special', 'temporary'), limits, optional },
    ...{ addresses: fc.array(text), promptCount: count, createdAt: count, revision: count },
    quotas: fc.array(fc.tuple(fc.constantFrom(...names), quota)),
  })
  .map(({ quotas, optional: more, ...rest }) => ({
    ...rest,
    ...more,
    id: createUserId(rest.createdAt % 1e12),
    quotas: new Map(quotas),
  }))

describe('a user as text', () => {
  const families = [...builtInFamilies, { name: 'a "quoted" one', models: ['x'] }]

  for (const defaults of [{}, { other: 5 }])
    it(`is what the user is answered as, with default limits ${JSON.stringify(defaults)}`, () => {
      const toText = createUserText({ families, limits: defaults })
      const wire = createUserWire(families, defaults)
      fc.assert(
        fc.property(user, (one) => {
          assert.equal(toText(one, one.accessToken), JSON.stringify(wire.toUser(one, clear)))
        }),
      )
    })
})
