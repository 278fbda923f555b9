import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { factorsOf, heard, heardHidden, type Voice, voiceCount, voiceOf } from './input-correction.ts'
import { type InputFactors, type InputKind, type InputUnits, inputKinds, noFactors } from './input-kinds.ts'

const nothing: InputUnits = {
  plain: 0,
  tools: 0,
  serverTools: 0,
  images: 0,
  documents: 0,
  audio: 0,
  sealed: 0,
}
const unitsOf = (parts: Partial<InputUnits>): InputUnits => ({ ...nothing, ...parts })

/** A few voices, as they are kept for one model. */
function openVoices() {
  const voices = new Map<number, Voice>()
  let factors: InputFactors = noFactors
  return {
    factors: () => factors,
    say(voice: number, parts: Partial<InputUnits>, real: number) {
      const before = voices.get(voice) ?? {}
      voices.set(voice, { ...before, ...heard(before, factors, unitsOf(parts), real) })
      factors = factorsOf([...voices.values()])
    },
    estimate: (parts: Partial<InputUnits>) =>
      inputKinds.reduce((sum, kind) => sum + unitsOf(parts)[kind] * factors[kind], 0),
  }
}

/** What a provider counts whose units differ from ours by these factors. */
const realOf = (parts: Partial<InputUnits>, truth: Partial<Record<InputKind, number>>) =>
  inputKinds.reduce((sum, kind) => sum + unitsOf(parts)[kind] * (truth[kind] ?? 1), 0)

describe('a correction', () => {
  it('comes near to the truth within twenty requests', () => {
    for (const truth of [0.5, 2, 3.5, 7]) {
      const voices = openVoices()
      for (let n = 0; n < 20; n += 1) voices.say(0, { images: 3200, plain: 30 }, 3200 * truth + 30)
      const ratio = voices.estimate({ images: 3200, plain: 30 }) / (3200 * truth + 30)
      assert.ok(ratio > 0.9 && ratio < 1.1, `${truth}: ${ratio}`)
    }
  })

  it('goes to the kind that the error is of', () => {
    const voices = openVoices()
    for (let n = 0; n < 30; n += 1) voices.say(0, { plain: 20, images: 1600 }, 20 + 8000)
    assert.ok(voices.factors().images > 4.5, `${voices.factors().images}`)
    assert.equal(voices.factors().plain, 1)
    assert.equal(voices.factors().tools, 1)
  })

  it('tells kinds apart that come in different mixes', () => {
    const truth = { plain: 1.3, tools: 0.6, images: 3 }
    const mixes = [
      { plain: 20_000, tools: 4_000 },
      { plain: 2_000, tools: 8_000 },
      { plain: 5_000 },
      { plain: 3_000, tools: 4_000, images: 3_200 },
      { plain: 500, images: 1_600 },
    ]
    const voices = openVoices()
    for (let n = 0; n < 400; n += 1) {
      const mix = mixes[n % mixes.length] ?? {}
      voices.say(Math.floor(n / mixes.length) % 5, mix, realOf(mix, truth))
    }
    for (const mix of mixes) {
      const ratio = voices.estimate(mix) / realOf(mix, truth)
      assert.ok(ratio > 0.9 && ratio < 1.1, `${JSON.stringify(mix)}: ${ratio}`)
    }
  })

  it('is moved little by what a template adds to short requests', () => {
    const voices = openVoices()
    for (let n = 0; n < 200; n += 1) voices.say(n % 5, { plain: 9 }, 75)
    assert.ok(voices.factors().plain < 1.6, `${voices.factors().plain}`)
  })

  it('learns nothing from no figures', () => {
    for (const real of [0, -1, Number.NaN])
      assert.deepEqual(heard({}, noFactors, unitsOf({ plain: 9 }), real), {})
    assert.deepEqual(heard({}, noFactors, nothing, 100), {})
  })

  it('stays within its bounds, finite, whatever is said', () => {
    const amount = fc.oneof(fc.nat(10_000), fc.constantFrom(0, 1e12, 1e-9))
    const parts = fc.record(Object.fromEntries(inputKinds.map((kind) => [kind, amount])))
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(voiceCount - 1), parts, amount), { maxLength: 60 }), (said) => {
        const voices = openVoices()
        for (const [voice, units, real] of said) voices.say(voice, units, real)
        for (const kind of inputKinds) {
          const factor = voices.factors()[kind]
          assert.ok(factor >= 0.05 && factor <= 20, `${kind} ${factor}`)
        }
        assert.ok(voices.factors().plain >= 0.25 && voices.factors().plain <= 4)
      }),
    )
  })
})

describe('who wants to move it', () => {
  /** Honest voices whose requests are estimated rightly, each after each of the others. */
  const honest = (voices: ReturnType<typeof openVoices>, count: number, rounds: number) => {
    for (let n = 0; n < rounds * count; n += 1) voices.say(1 + (n % count), { plain: 4000 }, 4000)
  }

  it('moves it by a half at most with one odd figure, while no other has spoken', () => {
    for (const real of [1, 1e12]) {
      const voices = openVoices()
      voices.say(0, { images: 1600 }, real)
      const { images } = voices.factors()
      assert.ok(images > 0.66 && images < 1.5, `${images}`)
    }
  })

  it('halves it at most, alone, however often', () => {
    const voices = openVoices()
    for (let n = 0; n < 1000; n += 1) voices.say(0, { plain: 100_000 }, 100)
    assert.equal(voices.factors().plain, 0.5)
  })

  it('does not lower it where another has spoken', () => {
    const voices = openVoices()
    honest(voices, 1, 20)
    for (let n = 0; n < 1000; n += 1) voices.say(0, { plain: 100_000 }, 100)
    assert.ok(voices.factors().plain > 0.95, `${voices.factors().plain}`)
  })

  it('moves nothing where two others have spoken, in neither direction', () => {
    for (const real of [1, 1e12]) {
      const voices = openVoices()
      honest(voices, 2, 20)
      for (let n = 0; n < 1000; n += 1) voices.say(0, { plain: 100_000 }, real)
      honest(voices, 2, 5)
      assert.ok(Math.abs(voices.factors().plain - 1) < 0.05, `${voices.factors().plain}`)
    }
  })

  it('is overruled by those that come later', () => {
    const voices = openVoices()
    for (let n = 0; n < 1000; n += 1) voices.say(0, { images: 160_000 }, 1)
    for (let n = 0; n < 30; n += 1) voices.say(1 + (n % 2), { images: 1600 }, 1600)
    assert.ok(voices.factors().images > 0.9, `${voices.factors().images}`)
  })

  it('has one voice, for ever, and others have others', () => {
    assert.equal(voiceOf('usr_1'), voiceOf('usr_1'))
    const seen = new Set(Array.from({ length: 500 }, (_, n) => voiceOf(`usr_${n}`)))
    assert.deepEqual(
      [...seen].toSorted((a, b) => a - b),
      Array.from({ length: voiceCount }, (_, n) => n),
    )
  })
})

describe('the share of hidden output', () => {
  const after = (requests: number, shown: number, all: number) => {
    let factor = 1
    for (let n = 0; n < requests; n += 1) factor = heardHidden(factor, shown, all)
    return factor
  }

  it('comes near to the truth within twenty answers', () => {
    for (const truth of [1, 1.5, 3, 7]) {
      const factor = after(20, 800, 800 * truth)
      assert.ok(factor > 0.9 * truth && factor < 1.1 * truth, `${factor} for ${truth}`)
    }
  })

  it('falls again, and never below what is shown', () => {
    let factor = after(20, 800, 4000)
    for (let n = 0; n < 30; n += 1) factor = heardHidden(factor, 800, 800)
    assert.ok(factor >= 1 && factor < 1.1, `${factor}`)
    assert.equal(heardHidden(1, 800, 10), 1)
  })

  it('is moved little by an odd figure, or by an answer of a word', () => {
    assert.ok(heardHidden(1, 800, 1e12) < 1.5)
    assert.ok(after(20, 2, 600) < 2.5, `${after(20, 2, 600)}`)
    for (const all of [0, 1e12]) for (const shown of [1, 1e12]) assert.ok(heardHidden(20, shown, all) <= 20)
  })

  it('is the median of the voices, and nearer to one as long as they are few', () => {
    const voices = (...factors: number[]) => factorsOf(factors.map((hidden) => ({ hidden }))).hidden
    assert.equal(voices(19), 8)
    assert.equal(voices(3, 2, 19), 3)
    assert.equal(factorsOf([{ plain: 2 }]).hidden, 1)
  })
})
