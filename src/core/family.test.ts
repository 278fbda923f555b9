import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { matchesGlob } from '#lib/glob.ts'
import { builtInFamilies, familyNames, familyOf } from './family.ts'

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
    'llama-3': undefined,
    '': undefined,
  }
  for (const [model, family] of Object.entries(expected)) {
    it(`${JSON.stringify(model)} is in ${family ?? 'none'}`, () =>
      assert.equal(familyOf(model, builtInFamilies), family))
  }

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
