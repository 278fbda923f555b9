import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createThrottle } from './throttle.ts'

function open(options?: { placesMax?: number }) {
  const clock = { now: 1_000_000 }
  const throttle = createThrottle(() => clock.now, options)
  const fail = (address: string, times: number) => {
    for (let time = 0; time < times; time++) throttle.failed(address)
  }
  const waitOf = (address: string) => (throttle.blockedUntil(address) ?? clock.now) - clock.now
  return { clock, throttle, fail, waitOf }
}

describe('the throttle', () => {
  it('lets ten failures pass, then doubles from 1 s to 5 min', () => {
    const { clock, fail, waitOf } = open()
    fail('192.0.2.1', 10)
    assert.equal(waitOf('192.0.2.1'), 0)
    const waits = Array.from({ length: 11 }, () => {
      fail('192.0.2.1', 1)
      const wait = waitOf('192.0.2.1')
      clock.now += wait
      return wait / 1000
    })
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  })

  it('opens at the instant it said', () => {
    const { clock, fail, throttle } = open()
    fail('192.0.2.1', 11)
    assert.equal(throttle.blockedUntil('192.0.2.1'), clock.now + 1000)
    clock.now += 999
    assert.notEqual(throttle.blockedUntil('192.0.2.1'), undefined)
    clock.now += 1
    assert.equal(throttle.blockedUntil('192.0.2.1'), undefined)
  })

  it('forgives one a minute, counted from when it opened', () => {
    const { clock, fail, waitOf } = open()
    fail('192.0.2.1', 14)
    assert.equal(waitOf('192.0.2.1'), 8000)
    clock.now += 8000 + 59_999
    fail('192.0.2.1', 1)
    assert.equal(waitOf('192.0.2.1'), 16_000)
    clock.now += 16_000 + 3 * 60_000
    fail('192.0.2.1', 1)
    assert.equal(waitOf('192.0.2.1'), 4000)
    clock.now += 4000 + 60 * 60_000
    fail('192.0.2.1', 10)
    assert.equal(waitOf('192.0.2.1'), 0)
  })

  it('forgets after a success', () => {
    const { fail, throttle, waitOf } = open()
    fail('192.0.2.1', 12)
    throttle.succeeded('192.0.2.1')
    assert.equal(waitOf('192.0.2.1'), 0)
    fail('192.0.2.1', 10)
    assert.equal(waitOf('192.0.2.1'), 0)
  })

  it('takes an IPv6 /64 as one place, and others apart', () => {
    const { fail, waitOf } = open()
    for (let host = 1; host <= 11; host++) fail(`2001:db8:0:1::${host}`, 1)
    assert.equal(waitOf('2001:db8:0:1:ffff::1'), 1000)
    assert.equal(waitOf('2001:db8:0:2::1'), 0)
    fail('192.0.2.1', 11)
    assert.equal(waitOf('192.0.2.2'), 0)
  })

  it('remembers so many places and no more, the latest', () => {
    const { fail, waitOf } = open({ placesMax: 3 })
    fail('192.0.2.1', 11)
    for (const last of [2, 3]) fail(`192.0.2.${last}`, 1)
    fail('192.0.2.1', 1)
    fail('192.0.2.4', 11)
    assert.equal(waitOf('192.0.2.1'), 2000)
    fail('192.0.2.5', 11)
    fail('192.0.2.6', 11)
    assert.equal(waitOf('192.0.2.1'), 0)
    assert.equal(waitOf('192.0.2.6'), 1000)
  })

  it('counts together with its peers, who hear of failures and of a success that mattered', () => {
    const clock = { now: 1_000_000 }
    const said: string[] = []
    const ears: ((words: string) => void)[] = []
    const [here, there] = [0, 1].map((own) =>
      createThrottle(() => clock.now, {
        peers: {
          tell(words) {
            said.push(words)
            for (const [index, hear] of ears.entries()) if (index !== own) hear(words)
          },
          hear: (hear) => ears.push(hear),
        },
      }),
    )
    assert.ok(here && there)
    here.succeeded('192.0.2.1')
    for (let time = 0; time < 10; time++) (time % 2 ? here : there).failed('192.0.2.1')
    assert.deepEqual(
      [here, there].map((each) => each.blockedUntil('192.0.2.1')),
      [undefined, undefined],
    )
    here.failed('192.0.2.1')
    const until = clock.now + 1000
    assert.deepEqual(
      [here, there].map((each) => each.blockedUntil('192.0.2.1')),
      [until, until],
    )
    there.succeeded('192.0.2.1')
    assert.equal(here.blockedUntil('192.0.2.1'), undefined)
    assert.deepEqual(said, [...Array.from({ length: 11 }, () => 'failed 192.0.2.1'), 'succeeded 192.0.2.1'])
  })
})
