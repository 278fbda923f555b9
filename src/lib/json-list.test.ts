import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseList } from './json-list.ts'

const bounds = { itemsMax: 1000, itemBytesMax: 1000 }

function parse(text: string, more = {}) {
  const body = Buffer.from(text)
  return parseList(body, 0, body.length, { ...bounds, ...more })
}

describe('a list that is parsed item by item', () => {
  it('holds what JSON.parse finds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.json()), fc.constantFrom('', ' ', '\n\t'), async (items, space) => {
        const text = `[${items.map((item) => space + item + space).join(',')}${space}]${space}`
        assert.deepEqual(await parse(text), { kind: 'read', value: JSON.parse(text) })
      }),
    )
  })

  it('is refused where JSON.parse refuses it', async () => {
    const wrong = '[1,] [,1] [,] [1 [1}] [1]] [1]x [{]} [[}] ["a] ["\\"] [1:2] [1,,2] [\\]'
    for (const text of [...wrong.split(' '), '', '[1] 2', '["a" "b"]', '["\n"]']) {
      assert.throws(() => JSON.parse(text), text)
      assert.deepEqual(await parse(text), { kind: 'invalid' }, text)
    }
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom(...'[]{}",:\\1 ') }), async (inside) => {
        const parsed = await parse(`[${inside}]`)
        let expected: unknown
        try {
          expected = { kind: 'read', value: JSON.parse(`[${inside}]`) }
        } catch {
          expected = { kind: 'invalid' }
        }
        assert.deepEqual(parsed, expected)
      }),
      { numRuns: 1000 },
    )
  })

  it('stops at its bounds', async () => {
    assert.deepEqual(await parse('[1,2,3,no', { itemsMax: 2 }), { kind: 'read', value: [1, 2] })
    const long = `[1,"${'x'.repeat(1000)}"]`
    assert.deepEqual(await parse(long), { kind: 'item_too_large', index: 1 })
    assert.deepEqual(await parse(`[1,"${'x'.repeat(998)}"]`), {
      kind: 'read',
      value: [1, 'x'.repeat(998)],
    })
  })
})
