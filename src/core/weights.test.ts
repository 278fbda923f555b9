import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { sumMax, unitsMax } from './units.ts'
import { noUsage, type Usage, unitsOf } from './usage.ts'
import { chargeOf, createWeights, isWeight, type KindWeights, weighingOf, weightMax } from './weights.ts'

const weightsFor = (all: KindWeights, families = {}) => createWeights({ all, families })
const usage: Usage = { input: 100, cacheRead: 1003, cacheWritten: 40, output: 7, reasoning: 3 }

describe('weights', () => {
  it('are none where nothing is configured, or only that each unit counts as one', () => {
    assert.equal(createWeights(undefined), undefined)
    assert.equal(weightsFor({}), undefined)
    assert.equal(weightsFor({ input: 1, output: 1 }, { claude: { cacheRead: 1 } }), undefined)
    assert.equal(chargeOf(usage, undefined), unitsOf(usage))
    assert.equal(weighingOf(usage, undefined), 0)
  })

  for (const [name, all, expected] of [
    ['a tenth for what a cache holds, rounded up', { cacheRead: 0.1 }, 100 + 100.3 + 40 + 10],
    ['more for what is written to one', { cacheWritten: 1.25 }, 100 + 1003 + 50 + 10],
    ['output with its reasoning', { output: 5 }, 100 + 1003 + 40 + 50],
    ['free input', { input: 0 }, 1003 + 40 + 10],
    ['nothing at all', { input: 0, cacheRead: 0, cacheWritten: 0, output: 0 }, 0],
    ['each its own', { input: 0.5, cacheRead: 0.001, cacheWritten: 2, output: 100 }, 50 + 1.003 + 80 + 1000],
  ] as const)
    it(`weigh ${name}`, () => {
      const weights = weightsFor(all)?.('claude')
      assert.equal(chargeOf(usage, weights), Math.ceil(expected))
      assert.equal(weighingOf(usage, weights), Math.ceil(expected) - 1153)
      assert.equal(chargeOf(noUsage, weights), 0)
    })

  it('of a family win over those of all, kind by kind', () => {
    const weightsOf = weightsFor(
      { cacheRead: 0.1, output: 2 },
      { claude: { output: 5 }, turbo: { cacheRead: 1, output: 1 } },
    )
    const of = (family: string) => chargeOf({ ...noUsage, cacheRead: 10, output: 10 }, weightsOf?.(family))
    assert.deepEqual([of('claude'), of('turbo'), of('gpt4'), of('constructor')], [51, 20, 21, 21])
  })

  it('are never below what the kinds come to exactly, whatever the figures', () => {
    const weight = fc.integer({ min: 0, max: weightMax * 1000 })
    const figure = fc.oneof(fc.nat(5000), fc.nat(unitsMax), fc.constantFrom(0, 1, unitsMax, sumMax))
    const kinds = fc.tuple(figure, figure, figure, figure, figure)
    fc.assert(
      fc.property(fc.tuple(weight, weight, weight, weight), kinds, (thousandths, figures) => {
        const [input = 1, cacheRead = 1, cacheWritten = 1, output = 1] = thousandths.map(
          (each) => each / 1000,
        )
        const weights = weightsFor({ input, cacheRead, cacheWritten, output })?.('claude')
        const [a, b, c, d, e] = figures
        const charged = chargeOf(
          { input: a, cacheRead: b, cacheWritten: c, output: d, reasoning: e },
          weights,
        )
        const exact = figures.reduce(
          (sum, each, index) => sum + BigInt(each) * BigInt(thousandths[Math.min(index, 3)] ?? 0),
          0n,
        )
        const whole = (exact + 999n) / 1000n
        assert.equal(charged, whole > BigInt(sumMax) ? sumMax : Number(whole))
      }),
      { numRuns: 2000 },
    )
  })

  it('are from 0 to 100 with three decimals at most', () => {
    for (const fine of [0, 0.001, 0.1, 0.333, 1, 1.25, 99.999, 100, 0.1 + 0.2])
      assert.ok(isWeight(fine), `${fine}`)
    for (const wrong of [-0.001, 0.0001, 100.001, Number.NaN, Number.POSITIVE_INFINITY, 0.3335])
      assert.ok(!isWeight(wrong), `${wrong}`)
  })
})
