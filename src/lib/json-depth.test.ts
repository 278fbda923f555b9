import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createJsonDepth } from './json-depth.ts'

/** How deep a value is nested: 0 for one that is no container. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

function isWithin(text: string, depthMax: number, cutAt: readonly number[]): boolean {
  const bytes = Buffer.from(text)
  const depth = createJsonDepth(depthMax)
  const cuts = [...cutAt.map((at) => at % (bytes.length + 1)), 0, bytes.length].toSorted((a, b) => a - b)
  return cuts.slice(1).every((end, index) => depth.take(bytes.subarray(cuts[index], end)))
}

describe('the depth of JSON', () => {
  it('is that of the value, wherever the bytes are cut', () => {
    const brackets = fc.string({ unit: fc.constantFrom('[', ']', '{', '}', '"', '\\', 'a', '😀') })
    const value = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6 },
        brackets,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(brackets, tie('tree'), { maxKeys: 3 }),
      ),
    })).tree
    fc.assert(
      fc.property(value, fc.array(fc.nat()), (tree, cuts) => {
        const text = JSON.stringify(tree)
        const depth = depthOf(tree)
        assert.ok(isWithin(text, depth, cuts))
        if (depth > 0) assert.ok(!isWithin(text, depth - 1, cuts))
      }),
    )
  })
})
