import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { takeRate } from './rate.ts'

describe('takeRate', () => {
  it('gives a full minute at once, then one each sixtieth', () => {
    let arrivalAt: number | undefined
    const now = 1_800_000_000_000
    for (let taken = 0; taken < 60; taken++) {
      const answer = takeRate(arrivalAt, 60, now)
      assert.equal(answer.kind, 'within', `request ${taken}`)
      if (answer.kind === 'within') {
        assert.equal(answer.remaining, 59 - taken)
        arrivalAt = answer.arrivalAt
      }
    }
    const beyond = takeRate(arrivalAt, 60, now)
    assert.deepEqual(beyond, { kind: 'beyond', retryAt: now + 1000, resetAt: now + 60_000 })
    assert.equal(takeRate(arrivalAt, 60, now + 999).kind, 'beyond')
    assert.equal(takeRate(arrivalAt, 60, now + 1000).kind, 'within')
  })

  it('never admits more than limit + elapsed minutes x limit, and admits again at retryAt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 300 }),
        (limit, steps) => {
          const start = 1_700_000_000_000
          let now = start
          let arrivalAt: number | undefined
          let admitted = 0
          for (const step of steps) {
            now += step
            const answer = takeRate(arrivalAt, limit, now)
            if (answer.kind === 'within') {
              arrivalAt = answer.arrivalAt
              admitted++
            } else {
              assert.ok(answer.retryAt > now)
              assert.equal(takeRate(arrivalAt, limit, answer.retryAt).kind, 'within')
            }
            assert.ok(admitted <= limit + ((now - start) / 60_000) * limit + 1e-6)
          }
        },
      ),
      { numRuns: 200 },
    )
  })

  it('gives no more to those whose clocks differ', () => {
    const start = 1_700_000_000_000
    // Every other question comes from one who is behind: another machine, or one that was overtaken on its way.
    for (const behind of [1, 1000, 30_000]) {
      let arrivalAt: number | undefined
      let admitted = 0
      for (let asked = 0; asked < 200; asked++) {
        const answer = takeRate(arrivalAt, 7, start - (asked % 2) * behind)
        if (answer.kind === 'beyond') continue
        arrivalAt = answer.arrivalAt
        admitted++
      }
      assert.equal(admitted, 7, `${behind} ms behind`)
    }
  })

  it('locks a user out for two minutes at most after the clock stepped back', () => {
    const now = 1_000_000_000_000
    const answer = takeRate(now + 3_600_000, 60, now)
    assert.equal(answer.kind, 'within')
    let arrivalAt: number | undefined = now + 110_000
    let back = now
    const first = takeRate(arrivalAt, 60, back)
    assert.ok(first.kind === 'beyond' && first.retryAt - now < 120_000)
    for (let asked = 0; asked < 200; asked++) {
      const next = takeRate(arrivalAt, 60, back)
      if (next.kind === 'within') arrivalAt = next.arrivalAt
      else {
        back = next.retryAt
        assert.equal(takeRate(arrivalAt, 60, back).kind, 'within', 'retryAt is kept')
      }
    }
  })
})
