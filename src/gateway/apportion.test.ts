import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { builtInFamilies } from '#core/family.ts'
import { noUsage, type Usage, unitsOf } from '#core/usage.ts'
import type { AnswerModels } from '#providers/provider.ts'
import { type Asked, apportion } from './apportion.ts'
import type { Charge } from './charge.ts'

const usage: Usage = { input: 100, cacheRead: 10, cacheWritten: 1, output: 40, reasoning: 9 }
const charge: Charge = { ending: 'settled', usage, isEstimated: false }
const asking = (model: string, names: readonly string[], isOpen = false, upstreamName = model): Asked => ({
  request: { model, elsewhere: { names, isOpen } },
  families: builtInFamilies,
  upstream: { upstreamNameOf: () => upstreamName },
})
const by = (answered: string | undefined, beside: AnswerModels['beside'] = []): AnswerModels => ({
  answered,
  beside,
})
const part = (more: Partial<Usage>): Usage => ({ ...noUsage, ...more })

describe('which family each unit counts to', () => {
  const gpt = asking('claude-a', ['openai/gpt-4o', 'gpt-4o-mini'])
  const cases: readonly (readonly [string, Asked, AnswerModels, Readonly<Record<string, number>>])[] = [
    ['the model that answered', gpt, by('openai/gpt-4o-2024-11-20'), { 'gpt4 openai/gpt-4o': 160 }],
    ['the request’s own, dated', gpt, by('anthropic/claude-a-20260501'), {}],
    ['another of its family', gpt, by('claude-b'), {}],
    ['one that is not said', gpt, by(undefined), {}],
    ['one that was named in other words', gpt, by('gpt-5'), { 'gpt4 gpt-5': 160 }],
    ['one of a family that was not named', asking('gpt-4o', ['gpt-4o-mini']), by('claude-x'), {}],
    ['one that is known to no family', asking('claude-a', ['mistral']), by('strange'), {}],
    [
      'one that only the last family takes, by its name',
      asking('claude-a', ['mistral']),
      by('x/mistral'),
      { 'other mistral': 160 },
    ],
    ['any, where any could be reached', asking('claude-a', [], true), by('gpt-4o'), { 'gpt4 gpt-4o': 160 }],
    ['a strange one, where any could be reached', asking('claude-a', [], true), by('strange'), {}],
    [
      'the name that the upstream has for its own',
      asking('claude-a', ['gpt-4o'], false, 'gpt-4o'),
      by('gpt-4o'),
      {},
    ],
    [
      'an advisor beside the answer',
      asking('claude-a', ['gpt-4o']),
      by('claude-a', [{ model: 'gpt-4o', usage: part({ input: 30, output: 10 }) }]),
      { 'gpt4 gpt-4o': 40 },
    ],
    [
      'an advisor twice, and a compaction of its own',
      asking('claude-a', ['gpt-4o']),
      by('claude-a', [
        { model: 'gpt-4o', usage: part({ input: 30 }) },
        { model: 'claude-a', usage: part({ input: 20 }) },
        { model: 'gpt-4o', usage: part({ cacheRead: 5 }) },
      ]),
      { 'gpt4 gpt-4o': 35 },
    ],
    [
      'an advisor and another that answered',
      gpt,
      by('gpt-4o', [{ model: 'gpt-4o-mini', usage: part({ output: 15 }) }]),
      { 'turbo gpt-4o-mini': 15, 'gpt4 openai/gpt-4o': 145 },
    ],
    [
      'an advisor of its own, where another answered',
      asking('claude-a', ['gpt-4o', 'claude-b']),
      by('gpt-4o', [{ model: 'claude-b', usage: part({ input: 60 }) }]),
      { 'gpt4 gpt-4o': 100 },
    ],
    [
      'more than there was',
      gpt,
      by('claude-a', [{ model: 'gpt-4o', usage: part({ input: 1e9, output: 3 }) }]),
      { 'gpt4 openai/gpt-4o': 103 },
    ],
  ]
  for (const [name, asked, models, expected] of cases) {
    it(name, () => {
      const { usage: own, beside = [] } = apportion(charge, models, asked)
      const shares = beside.map((one) => [`${one.family} ${one.model}`, unitsOf(one.usage)])
      assert.deepEqual(Object.fromEntries(shares), expected)
      const sum = beside.reduce((total, one) => total + unitsOf(one.usage), unitsOf(own))
      assert.equal(sum, unitsOf(usage), 'nothing is lost, and nothing counted twice')
    })
  }

  it('tells no more models apart than the ledger takes, and loses nothing', () => {
    const names = Array.from({ length: 20 }, (_, at) => `gpt-${at + 5}`)
    const beside = names.map((model) => ({ model, usage: part({ input: 2 }) }))
    const told = apportion(charge, by('claude-a', beside), asking('claude-a', names))
    assert.equal(told.beside?.length, 8)
    assert.equal(unitsOf(told.usage), 160 - 16)
  })

  it('leaves alone what costs nothing', () => {
    const released: Charge = { ending: 'released', usage: noUsage, isEstimated: false }
    assert.equal(apportion(released, by('gpt-4o'), gpt), released)
  })
})
