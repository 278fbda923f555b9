import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAccount } from '../bench/soak/account.ts'
import { unitsIn } from '../bench/soak/client.ts'
import { growth } from '../bench/soak/growth.ts'
import { logFaults } from '../bench/soak/truth.ts'
import { isMet } from '../bench/support/report.ts'

/** How `npm run bench -- soak` judges; the soak itself is run by hand. */
describe('npm run bench -- soak', () => {
  it('reads what an answer says was used, by the figures of each protocol', () => {
    assert.equal(unitsIn('{"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}'), 21)
    const start =
      '{"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":1}}'
    const delta =
      '{"usage":{"input_tokens":5,"cache_read_input_tokens":3,"cache_creation_input_tokens":2,"output_tokens":70}}'
    assert.equal(unitsIn(`data: ${start}\n\ndata: ${delta}\n\n`), 80)
    assert.equal(unitsIn('{"choices":[]}'), 0)
  })

  it('calls memory flat that rose while caches filled, and not what grows on', () => {
    const isFlat = (resident: readonly number[], minutes = 30) => growth(resident, minutes).every(isMet)
    const perSecond = (bytesAt: (second: number) => number) =>
      Array.from({ length: 1800 }, (_, second) => bytesAt(second))
    assert.ok(isFlat(perSecond((second) => 100e6 + 100e6 * Math.min(1, second / 600))))
    // A collection now and then brings it down, and is not taken for growth when it comes early.
    assert.ok(isFlat(perSecond((second) => (second % 300 < 30 ? 150e6 : 200e6))))
    assert.equal(isFlat(perSecond((second) => 100e6 + 60_000 * second)), false)
    assert.ok(isFlat([1, 2, 3], 1))
  })

  it('finds errors in the log, and counts its warnings', () => {
    const lines = [
      '  Tollgate is listening on http://127.0.0.1:1',
      '{"level":"info","msg":"listening"}',
      '{"level":"warn","msg":"slow"}',
      '{"level":40,"msg":"slow"}',
      '{"level":"error","msg":"broken"}',
      '{"level":60,"msg":"gone"}',
    ]
    const { errors, warnings } = logFaults(lines.join('\n'))
    assert.deepEqual(errors, lines.slice(-2))
    assert.deepEqual([...warnings], [['slow', 2]])
  })

  it('adds up what was told, and answers by who asked', () => {
    const account = createAccount()
    account.add('one', 3)
    account.add('one', 4)
    account.answered('good', 200)
    account.takeAnswers()
    account.answered('good', 200)
    assert.equal(account.told.get('one'), 7)
    assert.deepEqual([...account.takeAnswers()], [['good 200', 1]])
    assert.deepEqual([...account.answers], [['good 200', 2]])
  })
})
