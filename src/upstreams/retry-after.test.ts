import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { retryAfterMs } from './retry-after.ts'

const now = Date.UTC(2026, 0, 1)

describe('how long an answer asks to be left alone', () => {
  const cases: readonly (readonly [Record<string, string | string[]>, number | undefined])[] = [
    [{}, undefined],
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' }, 9000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-4' }, 0],
    [{ 'retry-after': ['1', '2'] }, undefined],
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    [{ 'retry-after-ms': 'x', 'retry-after': '1' }, 1000],
  ]
  for (const [headers, expected] of cases) {
    it(`${JSON.stringify(headers)} is ${expected}`, () => {
      assert.equal(retryAfterMs(headers, now), expected)
    })
  }
})
