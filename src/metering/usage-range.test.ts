import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseDimensions, parseUsageRange } from './usage-range.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const dayMs = 86_400_000

function read(values: Readonly<Record<string, string>>, timeZone = 'UTC') {
  return parseUsageRange(new Map(Object.entries(values)), { now, timeZone, lengthMs: dayMs })
}

describe('the time of a report', () => {
  const dates: readonly (readonly [string, string, string])[] = [
    ['UTC', '2026-11-01', '2026-11-01T00:00:00Z'],
    ['Europe/Paris', '2026-11-01', '2026-10-31T23:00:00Z'],
    ['America/New_York', '2026-11-01', '2026-11-01T04:00:00Z'],
    ['Pacific/Auckland', '2026-11-01', '2026-10-31T11:00:00Z'],
    ['Asia/Kolkata', '2026-11-01', '2026-10-31T18:30:00Z'],
    // The clock goes from 23:59:59 to 01:00.
    ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00Z'],
  ]
  for (const [timeZone, date, instant] of dates) {
    it(`takes ${date} for the first instant of that day in ${timeZone}`, () => {
      const reading = read({ from: date }, timeZone)
      assert.equal(reading.kind === 'read' && reading.value.from, Date.parse(instant))
    })
  }

  it('chooses a bucket that suits the length', () => {
    const bucketOf = (hours: number) => {
      const reading = read({ from: String(now - hours * 3_600_000) })
      return reading.kind === 'read' && reading.value.bucket
    }
    assert.deepEqual([1, 2, 3, 24, 192, 193].map(bucketOf), [
      'minute',
      'minute',
      'hour',
      'hour',
      'hour',
      'day',
    ])
  })

  it('answers as many buckets as it says, and no more', () => {
    const kindOf = (bucket: string, ms: number) => read({ bucket, from: String(now - ms) }).kind
    for (const [bucket, ms, max] of [
      ['minute', 60_000, 1500],
      ['hour', 3_600_000, 10_000],
      ['day', dayMs, 1100],
    ] as const)
      assert.deepEqual([kindOf(bucket, ms * max), kindOf(bucket, ms * max + 1)], ['read', 'invalid'])
  })

  it('reads dimensions', () => {
    assert.deepEqual(parseDimensions(undefined, ['user']), { kind: 'read', value: [] })
    assert.deepEqual(parseDimensions('model,user', ['user', 'model']), {
      kind: 'read',
      value: ['model', 'user'],
    })
    for (const text of ['model', 'user,user', 'User', '__proto__', ' user'])
      assert.equal(parseDimensions(text, ['user']).kind, 'invalid', text)
  })
})
