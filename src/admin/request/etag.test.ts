import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { etagOf, parseIfMatch } from './etag.ts'

const cases: readonly (readonly [string | undefined, unknown])[] = [
  [undefined, undefined],
  ['*', 'any'],
  ['"7"', [7]],
  [' "7" , W/"8","x" ', [7, 8]],
  ['7', []],
  ['"-7"', []],
  ['"7', []],
  ['', []],
  ['*, "7"', [7]],
]

describe('versions', () => {
  for (const [header, expected] of cases) {
    it(`reads If-Match ${header}`, () => assert.deepEqual(parseIfMatch(header), expected))
  }

  it('come back as they went', () => assert.deepEqual(parseIfMatch(etagOf({ revision: 12 })), [12]))
})
