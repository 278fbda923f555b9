import assert from 'node:assert/strict'
import { it } from 'node:test'
import { toBoundedExtras } from './usage-extras.ts'

it('keeps what is stated beside the units, and nothing absurd', () => {
  const fine = {
    toolRequests: { web_search: 1 },
    cacheWritten1h: 2,
    audioOutput: 3,
    serviceTier: 'on_demand',
  }
  assert.deepEqual(toBoundedExtras({ ...fine }), fine)
  const tools = Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`tool-${at}`, 1]))
  assert.equal(Object.keys(toBoundedExtras({ toolRequests: tools })?.toolRequests ?? {}).length, 16)
  for (const nothing of [
    {},
    { cacheWritten1h: 0, audioInput: -1, imageInput: 1e13, imageOutput: 1.5, toolRequests: { a: 0 } },
    { toolRequests: 'x', serviceTier: 'sk-secret with blanks' },
    { serviceTier: 'x'.repeat(33) },
    { serviceTier: '' },
  ]) {
    assert.equal(toBoundedExtras(nothing), undefined)
  }
})
