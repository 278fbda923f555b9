import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createPeriods, type Period } from './period.ts'

const at = (text: string) => Date.parse(text)
const iso = (time: number) => new Date(time).toISOString()

const cases: readonly (readonly [string, Period, string, string, string])[] = [
  ['UTC', 'hourly', '2026-03-01T10:59:59.999Z', '2026-03-01T10:00:00.000Z', '2026-03-01T11:00:00.000Z'],
  ['UTC', 'daily', '2026-03-01T00:00:00Z', '2026-03-01T00:00:00.000Z', '2026-03-02T00:00:00.000Z'],
  ['UTC', 'weekly', '2026-11-22T23:00:00Z', '2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'],
  ['UTC', 'monthly', '2027-01-31T12:00:00Z', '2027-01-01T00:00:00.000Z', '2027-02-01T00:00:00.000Z'],
  ['UTC', 'monthly', '2028-02-29T12:00:00Z', '2028-02-01T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
  ['UTC', 'monthly', '2026-12-31T23:59:59Z', '2026-12-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
  // Spring forward: a day of 23 hours. Fall back: one of 25.
  ['Europe/Paris', 'daily', '2026-03-29T12:00:00Z', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'],
  ['Europe/Paris', 'daily', '2026-10-25T12:00:00Z', '2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'],
  ['Europe/Paris', 'monthly', '2026-03-31T12:00:00Z', '2026-02-28T23:00:00.000Z', '2026-03-31T22:00:00.000Z'],
  // Midnight does not exist on the day the clocks go forward here; the day begins at 01:00.
  [
    'America/Asuncion',
    'daily',
    '2024-10-06T12:00:00Z',
    '2024-10-06T04:00:00.000Z',
    '2024-10-07T03:00:00.000Z',
  ],
  // Half-hour and three-quarter-hour zones.
  ['Asia/Kolkata', 'hourly', '2026-05-05T10:45:00Z', '2026-05-05T10:30:00.000Z', '2026-05-05T11:30:00.000Z'],
  ['Asia/Kathmandu', 'daily', '2026-05-05T10:45:00Z', '2026-05-04T18:15:00.000Z', '2026-05-05T18:15:00.000Z'],
  // A calendar day that a country left out when it crossed the date line.
  ['Pacific/Apia', 'daily', '2011-12-31T05:00:00Z', '2011-12-30T10:00:00.000Z', '2011-12-31T10:00:00.000Z'],
]

describe('periods', () => {
  for (const [zone, period, now, start, end] of cases) {
    it(`${period} in ${zone} at ${now}`, () => {
      const bounds = createPeriods(zone)(period, at(now))
      assert.deepEqual([iso(bounds.startAt), iso(bounds.endAt)], [start, end])
    })
  }

  it('never ends for none', () => {
    assert.deepEqual(createPeriods('UTC')('none', at('2026-01-01T00:00:00Z')), {
      startAt: 0,
      endAt: Infinity,
    })
  })

  it('always holds the instant, and its neighbours touch without gap', () => {
    const zones = [
      'UTC',
      'Europe/Paris',
      'America/New_York',
      'Australia/Lord_Howe',
      'America/Asuncion',
      'Asia/Kathmandu',
    ]
    const kinds: readonly Period[] = ['hourly', 'daily', 'weekly', 'monthly']
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...kinds),
        fc.integer({ min: at('2015-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') }),
        (zone, period, now) => {
          const bounds = createPeriods(zone)(period, now)
          assert.ok(
            bounds.startAt <= now && now < bounds.endAt,
            `${zone} ${period} ${iso(now)} ${iso(bounds.startAt)} ${iso(bounds.endAt)}`,
          )
          assert.equal(createPeriods(zone)(period, bounds.endAt).startAt, bounds.endAt)
          assert.equal(createPeriods(zone)(period, bounds.startAt - 1).endAt, bounds.startAt)
        },
      ),
      { numRuns: 400 },
    )
  })
})
