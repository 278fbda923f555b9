import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { againHeaders } from './asking-again.ts'
import { createProblem, type ErrorCode, errorTable } from './errors.ts'

const now = 1_800_000_000_000
const final = { 'x-should-retry': 'false' }

describe('what an answer says of asking again', () => {
  it('a time or that it does not help, and never both', () => {
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      for (const retryAt of [undefined, now - 5, now + 1, now + 60_000, now + 60_001, now + 86_400_000]) {
        const headers = againHeaders(createProblem(code, undefined, { retryAt }), now)
        assert.ok(Object.keys(headers).length <= 1, `${code} ${retryAt}`)
        const wait = Number(headers['retry-after'] ?? 1)
        assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, `${code} ${retryAt}: ${wait} s`)
      }
    }
  })

  it('no refusal of a request, a credential or a user is worth a repeat', () => {
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      const { status } = errorTable[code]
      if (status < 429) assert.deepEqual(againHeaders(createProblem(code), now), final, code)
    }
  })

  it('seconds where they help, and nothing where nothing is known', () => {
    const quota = (retryAt?: number) => createProblem('quota_exceeded', undefined, { retryAt })
    assert.deepEqual(againHeaders(quota(now + 1), now), { 'retry-after': '1' })
    assert.deepEqual(againHeaders(quota(now + 59_001), now), { 'retry-after': '60' })
    assert.deepEqual(againHeaders(quota(now + 60_001), now), final)
    assert.deepEqual(againHeaders(quota(), now), final)
    assert.deepEqual(againHeaders(createProblem('shutting_down'), now), { 'retry-after': '1' })
    assert.deepEqual(againHeaders(createProblem('upstream_failed'), now), {})
    assert.deepEqual(againHeaders(createProblem('upstream_failed', 'x', { isLasting: true }), now), final)
  })

  it('a program of the operator is told of any time', () => {
    const throttled = createProblem('throttled', undefined, { retryAt: now + 300_000 })
    assert.deepEqual(againHeaders(throttled, now, Number.POSITIVE_INFINITY), { 'retry-after': '300' })
  })
})
