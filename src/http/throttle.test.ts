import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Guess } from './guess.ts'
import { createThrottle, type ThrottleOptions } from './throttle.ts'

const place = '192.0.2.1'

function open(options?: ThrottleOptions) {
  const clock = { now: 1_000_000 }
  const throttle = createThrottle(() => clock.now, options)
  let guesses = 0
  const take = (address: string, credential = `guess-${guesses++}`, isUnguessable = false) =>
    throttle.take(address, credential, () => isUnguessable)
  const taken = async (address: string, credential?: string, isUnguessable?: boolean): Promise<Guess> => {
    const answer = await take(address, credential, isUnguessable)
    return answer.kind === 'taken' ? answer.guess : assert.fail('the door is closed')
  }
  /** Guesses wrong so many times, a new credential each time. */
  const fail = async (address: string, times: number) => {
    for (let time = 0; time < times; time++) (await taken(address)).wrong()
  }
  const waitOf = async (address: string) => {
    const answer = await take(address, 'only-asked')
    if (answer.kind === 'closed') return answer.waitMs
    answer.guess.dropped()
    return 0
  }
  return { clock, take, taken, fail, waitOf }
}

describe('the throttle', () => {
  it('lets ten failures pass, then doubles from 1 s to 5 min', async () => {
    const { clock, fail, waitOf } = open()
    await fail(place, 10)
    assert.equal(await waitOf(place), 0)
    const waits: number[] = []
    for (let time = 0; time < 11; time++) {
      await fail(place, 1)
      const wait = await waitOf(place)
      clock.now += wait
      waits.push(wait / 1000)
    }
    assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  })

  it('opens at the instant it said, and tells whole milliseconds', async () => {
    const { clock, fail, waitOf } = open()
    await fail(place, 11)
    assert.equal(await waitOf(place), 1000)
    clock.now += 998.5
    assert.equal(await waitOf(place), 2)
    clock.now += 1.5
    assert.equal(await waitOf(place), 0)
  })

  it('forgives one a minute, counted from when it opened', async () => {
    const { clock, fail, waitOf } = open()
    for (let time = 0; time < 14; time++) {
      await fail(place, 1)
      if (time < 13) clock.now += await waitOf(place)
    }
    assert.equal(await waitOf(place), 8000)
    clock.now += 8000 + 59_999
    await fail(place, 1)
    assert.equal(await waitOf(place), 16_000)
    clock.now += 16_000 + 3 * 60_000
    await fail(place, 1)
    assert.equal(await waitOf(place), 4000)
    clock.now += 4000 + 60 * 60_000
    await fail(place, 10)
    assert.equal(await waitOf(place), 0)
  })

  it('counts a wrong credential once, however often it comes and however many wait for its answer', async () => {
    const { fail, taken, waitOf } = open()
    for (let time = 0; time < 400; time++) assert.equal((await taken(place, 'stale')).wrong(), undefined)
    const many = await Promise.all(Array.from({ length: 40 }, () => taken(place, 'another')))
    for (const guess of many) guess.wrong()
    await fail(place, 8)
    assert.equal(await waitOf(place), 0)
    await fail(place, 1)
    assert.equal(await waitOf(place), 1000)
  })

  it('counts guesses from when they are taken up, and lets the rest wait for them', async () => {
    const { take, taken } = open()
    const first = await Promise.all(Array.from({ length: 11 }, () => taken(place)))
    const later = Array.from({ length: 100 }, () => take(place))
    assert.ok(later.every((each) => each instanceof Promise))
    for (const guess of first) assert.equal(guess.wrong(), undefined)
    for (const each of await Promise.all(later)) assert.deepEqual(each, { kind: 'closed', waitMs: 1000 })
  })

  it('lets those go on who wait for right ones, all of them', async () => {
    const { take, waitOf } = open()
    const all = Array.from({ length: 200 }, async (_, index) => {
      const answer = await take(place, `chosen-${index}`)
      await new Promise((resolve) => setImmediate(resolve))
      if (answer.kind === 'taken') answer.guess.admitted()
      return answer.kind
    })
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['taken']))
    assert.equal(await waitOf(place), 0)
  })

  it('tells those in the end who wait for what does not end', async () => {
    const { take, taken } = open()
    await Promise.all(Array.from({ length: 11 }, () => taken(place)))
    const began = performance.now()
    assert.deepEqual(await take(place), { kind: 'closed', waitMs: 1000 })
    assert.ok(performance.now() - began < 5000)
  })

  it('takes back by a right credential its own failure, and no other', async () => {
    const { clock, fail, taken, waitOf } = open()
    ;(await taken(place, 'made later')).wrong()
    await fail(place, 9)
    for (let time = 0; time < 5; time++) (await taken(place, 'right from the start')).admitted()
    ;(await taken(place, 'disabled')).known()
    ;(await taken(place, 'made later')).admitted()
    await fail(place, 1)
    assert.equal(await waitOf(place), 0)
    await fail(place, 1)
    assert.equal(await waitOf(place), 1000)
    clock.now += 1000
    ;(await taken(place, 'right from the start')).admitted()
    await fail(place, 1)
    assert.equal(await waitOf(place), 2000)
  })

  it('looks up what cannot be guessed behind the closed door, and tells no more than to wait', async () => {
    const { fail, taken, take } = open()
    await fail(place, 11)
    ;(await taken(place, 'ours', true)).admitted()
    assert.equal((await taken(place, 'ours, disabled', true)).known(), 1000)
    assert.equal((await taken(place, 'made up', true)).wrong(), 1000)
    assert.equal((await take(place, 'chosen')).kind, 'closed')
  })

  it('answers from behind the door those who were taken up before it closed', async () => {
    const { taken } = open()
    const all = await Promise.all(Array.from({ length: 300 }, (_, index) => taken(place, `${index}`, true)))
    const waits = all.map((guess) => guess.wrong())
    assert.equal(waits.filter((wait) => wait === undefined).length, 11)
  })

  it('looks up so many a second of what was never right, and lets the known ones pass', async () => {
    const { take, taken } = open()
    ;(await taken(place, 'right', true)).admitted()
    const begunAt = performance.now()
    const guesses = Array.from({ length: 1000 }, async (_, index) => {
      const answer = await take(place, `made up ${index}`, true)
      if (answer.kind === 'taken') answer.guess.wrong()
      return answer.kind
    })
    // On a busy machine more may be looked up before the last one has asked: 500 a second.
    const more = (performance.now() - begunAt) / 2
    const right = take(place, 'right', true)
    assert.ok(!(right instanceof Promise), 'without waiting')
    assert.equal(right.kind, 'taken')
    const kinds = await Promise.all(guesses)
    const lookedUp = kinds.filter((kind) => kind === 'taken').length
    assert.ok(lookedUp >= 500 && lookedUp <= 800 + more, `${lookedUp}, at most ${800 + more}`)
    ;(await taken(place, 'ours, and new here', true)).admitted()
  })

  it('has few rations for a right one that may be guessed', async () => {
    const { clock, fail, taken } = open()
    await fail(place, 11)
    assert.equal((await taken(place, 'chosen key', true)).rationedMs(), undefined)
    for (let time = 0; time < 300; time++) (await taken(place, `key ${time}`, true)).wrong()
    assert.ok((await taken(place, 'chosen key', true)).rationedMs())
    clock.now += 600_000
    assert.equal((await taken(place, 'chosen key', true)).rationedMs(), undefined)
  })

  it('takes an IPv6 /64 as one place, others apart, and the /48 around them with five times as much', async () => {
    const { fail, waitOf } = open()
    for (let host = 1; host <= 11; host++) await fail(`2001:DB8:0:1::${host}`, 1)
    assert.equal(await waitOf('2001:db8:0:1:ffff::1'), 1000)
    assert.equal(await waitOf('2001:db8:0:2::1'), 0)
    for (let net = 16; net < 20; net++) await fail(`2001:db8:0:${net}::1`, 10)
    assert.equal(await waitOf('2001:db8:0:ffff::1'), 1000)
    assert.equal(await waitOf('2001:db8:1::1'), 0)
    await fail('192.0.2.9', 11)
    assert.equal(await waitOf('::ffff:c000:209'), 1000)
    assert.equal(await waitOf('192.0.2.2'), 0)
  })

  it('remembers so many places and no more, the latest', async () => {
    const { fail, waitOf, clock } = open({ placesMax: 3 })
    await fail(place, 11)
    for (const last of [2, 3]) await fail(`192.0.2.${last}`, 1)
    clock.now += 1000
    await fail(place, 1)
    await fail('192.0.2.4', 11)
    assert.equal(await waitOf(place), 2000)
    await fail('192.0.2.5', 11)
    await fail('192.0.2.6', 11)
    assert.equal(await waitOf(place), 0)
    assert.equal(await waitOf('192.0.2.6'), 1000)
  })

  it('counts together with its peers, each credential once, and says none', async () => {
    const said: string[] = []
    const ears: ((words: string) => void)[] = []
    const [here, there] = [0, 1].map((own) =>
      open({
        key: 'one key',
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
    for (let time = 0; time < 20; time++) (await (time % 2 ? here : there).taken(place, 'stale')).wrong()
    for (let time = 0; time < 9; time++)
      (await (time % 2 ? here : there).taken(place, `secret-${time}`)).wrong()
    assert.deepEqual([await here.waitOf(place), await there.waitOf(place)], [0, 0])
    ;(await here.taken(place, 'secret-last')).wrong()
    assert.deepEqual([await here.waitOf(place), await there.waitOf(place)], [1000, 1000])
    there.clock.now += 1000
    ;(await there.taken(place, 'stale')).admitted()
    assert.equal(await here.waitOf(place), 0)
    assert.equal(said.length, 12)
    for (const words of said) assert.match(words, /^(wrong|right) 192\.0\.2\.1 \d{1,16}$/)
    const bad = ['', 'wrong', 'wrong x', `wrong ${'x'.repeat(100)} 1`, 'wrong x y', 'right x 1e99']
    for (const words of bad) for (const hear of ears) hear(words)
  })
})
