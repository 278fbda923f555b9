import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSortableId, timeOfSortableId } from './sortable-id.ts'

describe('a sortable id', () => {
  it('tells when it was made', () => {
    for (const now of [0, 1, 1_767_225_600_123, 2 ** 48 - 1])
      assert.equal(timeOfSortableId('res_', createSortableId('res_', now)), now)
  })

  it('sorts by when it was made', () => {
    const times = [5, 31, 32, 1023, 1024, 1_767_225_600_123, 1_767_225_600_124]
    const ids = times.map((now) => createSortableId('x_', now))
    assert.deepEqual(ids.toSorted(), ids)
  })

  it('has no time with another prefix, length or letter', () => {
    const id = createSortableId('res_', 1)
    for (const text of [
      '',
      'res_',
      `${id}0`,
      id.slice(0, -1),
      id.replace('res', 'req'),
      `${id.slice(0, -1)}u`,
    ])
      assert.equal(timeOfSortableId('res_', text), undefined, text)
  })
})
