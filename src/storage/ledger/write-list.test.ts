import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { outputPolicyDefault } from '#core/output-need.ts'
import { createPolicy } from '#core/policy-settings.ts'
import { noChanges } from './changes.ts'
import { createWriteList } from './write-list.ts'

const policy = createPolicy({
  ...{ families: [], limits: {}, defaults: {}, timeZone: 'UTC' },
  output: outputPolicyDefault,
})
const nothing = noChanges()

describe('the list of writes', () => {
  it('names each address once, also where more come in one batch than are remembered', () => {
    const list = createWriteList(policy, 'i', 0)
    const one = { userId: 'u', address: '192.0.2.1', isNewPlace: false }
    const others = Array.from({ length: 50_000 }, (_, index) => ({ ...one, userId: `v${index}` }))
    const written: string[] = []
    const target = {
      write: () => assert.fail('nothing else was changed'),
      writeAddress: ({ userId }: { readonly userId: string }) => void written.push(userId),
    }
    list.writeTo(target, { ...nothing, seen: [one, ...others, one] }, [], '', 0)
    assert.equal(written.length, 50_001)
    assert.equal(new Set(written).size, 50_001)
  })
})
