import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readAsk } from '../bench/against/ask.ts'
import { compareTurns, isKept, type Turn } from '../bench/against/ratio.ts'
import { lineOf } from '../bench/against/report.ts'
import { findRevision } from '../bench/against/revision.ts'
import { shareOut } from '../bench/against/turns.ts'
import { rateOf, timeOf } from '../bench/support/side.ts'

/** The arithmetic and the arguments of `npm run bench -- against REV`; what it measures is measured by hand. */
const turnOf = (ours: number, theirs: number): Turn => ({
  ours: [rateOf('requests', ours, 'req/s'), timeOf('CPU', 1e6 / ours, 'us')],
  theirs: [rateOf('requests', theirs, 'req/s'), timeOf('CPU', 1e6 / theirs, 'us')],
})

describe('npm run bench -- against REV', () => {
  it('takes ratios within a round, so that a machine that slows down favours neither side', () => {
    const [requests] = compareTurns([turnOf(980, 1000), turnOf(98, 100), turnOf(9.8, 10)])
    assert.equal(requests?.ratio.toFixed(6), '0.980000')
    assert.equal(requests?.ours, 98)
    assert.equal(requests?.theirs, 100)
  })

  it('turns the ratio of times, so that more is better in each', () => {
    const [requests, cpu] = compareTurns([turnOf(500, 1000)])
    assert.equal(requests?.ratio, 0.5)
    assert.equal(cpu?.ratio, 0.5)
  })

  it('answers the median of the rounds with the least and the most', () => {
    const [odd] = compareTurns([turnOf(90, 100), turnOf(120, 100), turnOf(99, 100)])
    assert.deepEqual([odd?.least, odd?.ratio, odd?.most], [0.9, 0.99, 1.2])
    const [even] = compareTurns([turnOf(90, 100), turnOf(110, 100)])
    assert.equal(even?.ratio, 1)
  })

  it('leaves out what one side alone measures', () => {
    const turn: Turn = {
      ours: [rateOf('new', 1, '1/s'), rateOf('both', 2, '1/s')],
      theirs: [rateOf('both', 1, '1/s')],
    }
    assert.deepEqual(
      compareTurns([turn]).map(({ what, ratio }) => [what, ratio]),
      [['both', 2]],
    )
    assert.deepEqual(compareTurns([]), [])
  })

  it('holds each figure to 0.95, and a figure that is no number is not kept', () => {
    const keptOf = (ours: number) =>
      compareTurns([turnOf(ours, 1000)]).map((comparison) => isKept(comparison))
    assert.deepEqual(keptOf(950), [true, true])
    assert.deepEqual(keptOf(940), [false, false])
    assert.deepEqual(keptOf(Number.NaN), [false, false])
    const [kept, lost] = [...compareTurns([turnOf(950, 1000)]), ...compareTurns([turnOf(940, 1000)])].filter(
      ({ what }) => what === 'requests',
    )
    assert.ok(kept && lost)
    assert.match(lineOf(kept), /^ {2}ok {2}requests .* 0\.950 x \(0\.95 to 0\.95\) at least 0\.95$/)
    assert.match(lineOf(lost), /^ {2}NO {2}requests /)
  })

  it('measures relay, limits and users where no bench is named', () => {
    assert.deepEqual(readAsk(['HEAD'], {}), {
      kind: 'ask',
      revision: 'HEAD',
      benches: ['relay', 'limits', 'users'],
      rounds: 48,
    })
    const ask = readAsk(['v1', 'stream', 'relay', 'stream'], { BENCH_ROUNDS: '7' })
    assert.ok(ask.kind === 'ask')
    assert.deepEqual([ask.benches, ask.rounds], [['stream', 'relay'], 7])
  })

  for (const [what, args, env, says] of [
    ['a revision that is missing', [], {}, /name the revision/],
    ['a bench in the place of the revision', ['relay'], {}, /name the revision/],
    ['an option in the place of the revision', ['--help'], {}, /name the revision/],
    ['a bench that does not exist', ['HEAD', 'speed'], {}, /no bench speed .* there are relay, limits/],
    ['no rounds', ['HEAD'], { BENCH_ROUNDS: '0' }, /BENCH_ROUNDS takes a whole number/],
    ['rounds that are no number', ['HEAD'], { BENCH_ROUNDS: 'many' }, /BENCH_ROUNDS takes a whole number/],
  ] as const)
    it(`refuses ${what}, and says what to do`, () => {
      const refused = readAsk(args, env)
      assert.ok(refused.kind === 'refused')
      assert.match(refused.message, says)
    })

  it('refuses a folder without a repository, and a revision that is not there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tollgate-against-'))
    try {
      const outside = findRevision(folder, 'HEAD')
      assert.ok(outside.kind === 'refused')
      assert.match(outside.message, /run it in a clone/)
    } finally {
      rmSync(folder, { recursive: true })
    }
    const unknown = findRevision(join(import.meta.dirname, '..'), 'no-such-revision')
    assert.ok(unknown.kind === 'refused')
    assert.match(unknown.message, /there is no revision no-such-revision|run it in a clone/)
  })

  it('shares the rounds out over the openings', () => {
    assert.deepEqual(shareOut(48, 4), [12, 12, 12, 12])
    assert.deepEqual(shareOut(10, 4), [2, 2, 3, 3])
    assert.deepEqual(shareOut(2, 4), [1, 1])
  })
})
