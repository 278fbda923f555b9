import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createGathering, firstPlaceBytes, type MayHold } from './gathering.ts'

const yes: MayHold = () => true

describe('gathering bytes', () => {
  it('gives back what came, however it was cut', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (lengths, isAnnounced) => {
        const pieces = lengths.map((length, index) => Buffer.alloc(length, index + 1))
        const whole = Buffer.concat(pieces)
        const gathering = createGathering(isAnnounced ? whole.length : 32 << 20, yes)
        for (const piece of pieces) assert.ok(gathering.add(piece))
        assert.ok(whole.equals(await gathering.whole()))
      }),
      { numRuns: 30 },
    )
  })

  it('takes nothing as nothing', async () => {
    assert.equal((await createGathering(10, yes).whole()).length, 0)
  })

  it('holds about what has come, not what was announced', () => {
    let held = 0
    const gathering = createGathering(32 << 20, (bytes) => {
      held += bytes
      return true
    })
    const piece = Buffer.alloc(16 * 1024)
    for (let came = 0; came < firstPlaceBytes; came += piece.length) gathering.add(piece)
    assert.equal(held, 0, 'the first place is free')
    for (let came = firstPlaceBytes; came < 5 << 20; came += piece.length) {
      gathering.add(piece)
      assert.ok(held <= 4 * (came + piece.length), `${held} are held when ${came} have come`)
    }
    gathering.leave()
    assert.equal(held, 0)
  })

  it('says so where the memory may not be had', () => {
    const gathering = createGathering(1 << 20, () => false)
    assert.ok(gathering.add(Buffer.alloc(firstPlaceBytes - 1)))
    assert.ok(gathering.add(Buffer.alloc(1)))
    assert.equal(gathering.add(Buffer.alloc(1)), false)
  })
})
