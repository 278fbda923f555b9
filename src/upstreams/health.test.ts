import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createHealth } from './health.ts'

describe('the health of an upstream', () => {
  function start() {
    const time = { now: 1_000_000 }
    return { time, health: createHealth(() => time.now) }
  }

  it('rests longer with each failure, up to a minute', () => {
    const { time, health } = start()
    const rests: number[] = []
    for (let round = 0; round < 9; round += 1) {
      health.failed()
      rests.push(health.restsUntil() - time.now)
      time.now = health.restsUntil()
      assert.equal(health.isResting(), false)
    }
    assert.deepEqual(rests, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  it('takes failures at once for one', () => {
    const { time, health } = start()
    for (let round = 0; round < 50; round += 1) health.failed()
    assert.equal(health.restsUntil() - time.now, 1000)
    time.now += 1000
    health.failed()
    assert.equal(health.restsUntil() - time.now, 2000)
  })

  it('keeps what it is asked for, within ten minutes', () => {
    const { time, health } = start()
    health.failed(30_000)
    assert.equal(health.restsUntil() - time.now, 30_000)
    health.failed(5000)
    assert.equal(health.restsUntil() - time.now, 30_000, 'a shorter one takes nothing back')
    health.failed(86_400_000)
    assert.equal(health.restsUntil() - time.now, 600_000)
  })

  it('recovers with an answer to what was sent after it failed, and not with one before', () => {
    const { time, health } = start()
    health.failed()
    health.succeeded(time.now - 1)
    assert.equal(health.isResting(), true)
    health.succeeded(time.now)
    assert.equal(health.isResting(), false)
    health.failed()
    assert.equal(health.restsUntil() - time.now, 1000, 'and starts anew')
  })

  it('rests for doubts of two users, and not of one, nor with a good answer between them', () => {
    const { time, health } = start()
    for (let round = 0; round < 9; round += 1) health.doubted('one')
    assert.equal(health.isResting(), false)
    health.succeeded(time.now)
    health.doubted('two')
    assert.equal(health.isResting(), false, 'a good answer came in between')
    time.now += 60_001
    health.doubted('one')
    assert.equal(health.isResting(), false, 'the other doubt is too old')
    health.doubted(undefined)
    assert.equal(health.isResting(), false, 'no user asked')
    health.doubted('two', { retryAfterMs: 5000 })
    assert.equal(health.restsUntil() - time.now, 5000)
    time.now += 5000
    health.doubted('one')
    assert.equal(health.restsUntil() - time.now, 2000, 'both doubts still stand')
  })

  it('rests where answers of two users break off, though each began well', () => {
    const { time, health } = start()
    const breakOff = (by: string) => {
      health.succeeded(time.now)
      health.doubted(by, { isBroken: true })
    }
    breakOff('one')
    health.completed()
    breakOff('two')
    assert.equal(health.isResting(), false, 'a whole answer came in between')
    breakOff('one')
    assert.equal(health.isResting(), true)
  })
})
