import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createRoster } from './roster.ts'

describe('roster', () => {
  it('holds those who came and did not leave, whatever the order, and forgets a second leave', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant('come'), fc.nat(50))), (steps) => {
        const roster = createRoster<number>()
        const here = new Map<number, () => void>()
        const gone: (() => void)[] = []
        let next = 0
        for (const step of steps) {
          if (step === 'come') {
            here.set(next, roster.add(next))
            next += 1
          } else {
            const [member, leave] = [...here][Number(step) % Math.max(1, here.size)] ?? []
            if (member !== undefined) here.delete(member)
            if (leave) gone.push(leave)
            for (const each of gone) each()
          }
          assert.deepEqual(
            [...roster.list()].sort((a, b) => a - b),
            [...here.keys()].sort((a, b) => a - b),
          )
          assert.equal(roster.count(), here.size)
        }
      }),
    )
  })
})
