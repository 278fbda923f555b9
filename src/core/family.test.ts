import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { matchesGlob } from '#lib/glob.ts'
import { builtInFamilies, type Family, familyNames, familyOf, isCaughtAll } from './family.ts'
import { formsOf } from './model-name.ts'

describe('families', () => {
  const expected: Readonly<Record<string, string | undefined>> = {
    'gpt-4-32k': 'gpt4-32k',
    'gpt-4-32k-0613': 'gpt4-32k',
    'gpt-3.5-turbo': 'turbo',
    'gpt-4o-mini': 'turbo',
    'gpt-4o-mini-2024-07-18': 'turbo',
    'gpt-5-nano': 'turbo',
    'o4-mini': 'turbo',
    'text-embedding-3-small': 'turbo',
    'gpt-4': 'gpt4',
    'gpt-4o': 'gpt4',
    'gpt-5.1': 'gpt4',
    o1: 'gpt4',
    'o3-pro': 'gpt4',
    'chatgpt-4o-latest': 'gpt4',
    'claude-sonnet-4-5': 'claude',
    'claude-3-5-sonnet@20241022': 'claude',
    // However an upstream may take it.
    'GPT-4O-Mini': 'turbo',
    ' gpt-4o-mini ': 'turbo',
    // Fine-tuned, dated, or with a provider's prefix: the base's.
    'ft:gpt-4o-mini:org::id': 'turbo',
    'ft:gpt-4o-mini-2024-07-18:org:suffix:id:ckpt-step-90': 'turbo',
    'ft:gpt-4o': 'gpt4',
    'openai/ft:gpt-4o-mini:org::id': 'turbo',
    'openai/gpt-4o-mini': 'turbo',
    'openai/ gpt-4o-mini': 'turbo',
    'openai/gpt-4o:online': 'gpt4',
    'anthropic/claude-sonnet-4.5:beta': 'claude',
    'openrouter/anthropic/claude-opus-4': 'claude',
    'us.anthropic.claude-3-5-sonnet-20241022-v2:0': 'claude',
    'bedrock/anthropic.claude-x': 'claude',
    'azure/o3-mini': 'turbo',
    // Of every other name.
    'llama-3': 'other',
    'llama3.2:1b': 'other',
    'deepseek-chat': 'other',
    'openai/': 'other',
    '/': 'other',
    '': 'other',
  }
  for (const [model, family] of Object.entries(expected)) {
    it(`${JSON.stringify(model)} is in ${family ?? 'none'}`, () =>
      assert.equal(familyOf(model, builtInFamilies), family))
  }

  const own: readonly Family[] = [
    { name: 'tiny', models: ['oltiny', 'skins'] },
    { name: 'tagged', models: ['llama3:8b', 'OLBig:latest'] },
    { name: 'mini', models: ['*-mini'] },
    { name: 'dated', models: ['gpt-4o'] },
    { name: 'vendor', models: ['mistralai/*'] },
    { name: 'rest', models: ['*'] },
  ]
  const ownExpected: Readonly<Record<string, string>> = {
    oltiny: 'tiny',
    OLTINY: 'tiny',
    'library/oltiny': 'tiny',
    'oltiny:latest': 'tiny',
    'Library/OLTINY:Latest': 'tiny',
    'registry.ollama.ai/library/oltiny:latest': 'tiny',
    'https://registry.ollama.ai:443/library/oltiny': 'tiny',
    '\u017Fkins': 'tiny',
    's\u212Ains': 'tiny',
    'llama3:8b': 'tagged',
    'llama3:70b': 'rest',
    llama3: 'rest',
    olbig: 'tagged',
    'gpt-4o-mini-2024-07-18': 'mini',
    'gpt-4o-2024-08-06': 'dated',
    'mistralai/mixtral-8x7b': 'vendor',
    'mixtral-8x7b': 'rest',
  }
  for (const [model, family] of Object.entries(ownExpected)) {
    it(`of an operator's families, ${JSON.stringify(model)} is in ${family}`, () =>
      assert.equal(familyOf(model, own), family))
  }

  it('knows a name that only a glob for every name takes', () => {
    assert.deepEqual(
      ['oltiny', 'llama3', 'x/unknown', 'OLBIG'].map((model) => isCaughtAll(model, own)),
      [false, true, true, false],
    )
  })

  it('has every form of a form among the forms of a name, so that no spelling of a spelling evades', () => {
    const piece = fc.constantFrom(
      ...'a B 0 9 2024-07-18 0613 latest mini gpt-4o ft library us anthropic'.split(' '),
    )
    const name = fc
      .array(fc.tuple(piece, fc.constantFrom('-', '/', ':', '@', '.', '', ' ')), { maxLength: 8 })
      .map((pairs) => pairs.flat().join(''))
    fc.assert(
      fc.property(name, (given) => {
        const forms = formsOf(given)
        for (const form of forms)
          assert.deepEqual(
            formsOf(form).filter((other) => !forms.includes(other)),
            [],
            `${given} as ${form}`,
          )
      }),
      { examples: [['library/library/a@'], ['openai/ gpt-4o'], ['gpt-4o :latest']] },
    )
  })

  it('reads the longest name that a request may have in no time', () => {
    const begunAt = performance.now()
    for (const part of ['-001', ':/', 'a.', 'ft:', '/']) formsOf(part.repeat(512 / part.length))
    assert.ok(performance.now() - begunAt < 100)
  })

  it('keeps the names of the contract whatever is configured', () => {
    assert.deepEqual(familyNames([{ name: 'local', models: ['*'] }]), [
      'local',
      'turbo',
      'gpt4',
      'gpt4-32k',
      'claude',
    ])
  })
})

describe('matchesGlob', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['*', '', true],
    ['*', 'anything', true],
    ['a*', 'a', true],
    ['a*b', 'ab', true],
    ['a*b', 'a', false],
    ['aa*aa', 'aaa', false],
    ['*mini*', 'gpt-4o-mini-x', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a.c', 'abc', false],
    ['exact', 'exact', true],
    ['exact', 'exactly', false],
  ]
  for (const [glob, text, matches] of table) {
    it(`${glob} ${matches ? 'matches' : 'does not match'} ${text}`, () =>
      assert.equal(matchesGlob(glob, text), matches))
  }
})
