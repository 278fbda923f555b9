import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noUsage } from '#core/usage.ts'
import { type Course, chargeOf, type Figures, noFigures } from './charge.ts'

const course: Course = {
  isMetered: true,
  wasSent: true,
  upstreamStatus: 200,
  wasCutShort: false,
  inputEstimate: 40,
  outputBound: undefined,
}
const usage = { input: 7, cacheRead: 1, cacheWritten: 2, output: 5, reasoning: 3 }
const partial: Figures = {
  ...noFigures,
  usage: { ...noUsage, input: 30, output: 1 },
  isComplete: false,
  passed: { output: 9, reasoning: 0 },
}

describe('what a relay is charged', () => {
  const cases: readonly (readonly [string, Partial<Course>, Figures, object])[] = [
    [
      'the final figure',
      {},
      { ...noFigures, usage, isComplete: true, passed: { output: 99, reasoning: 0 } },
      { ending: 'settled', usage, isEstimated: false },
    ],
    [
      'the final figure though the client went',
      { wasCutShort: true },
      { ...noFigures, usage, isComplete: true, passed: { output: 99, reasoning: 0 } },
      { ending: 'settled', usage, isEstimated: false },
    ],
    [
      'the final figure of an error',
      { upstreamStatus: 400 },
      { ...noFigures, usage, isComplete: true, passed: { output: 0, reasoning: 0 } },
      { ending: 'settled', usage, isEstimated: false },
    ],
    [
      'the stated output, and an estimate of the input that is not stated',
      {},
      {
        ...noFigures,
        usage: { ...noUsage, output: 5 },
        isComplete: true,
        passed: { output: 9, reasoning: 0 },
      },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 5 }, isEstimated: true },
    ],
    [
      'the stated output of an error',
      { upstreamStatus: 400 },
      { ...noFigures, usage: { ...noUsage, output: 5 }, isComplete: true },
      { ending: 'settled', usage: { ...noUsage, output: 5 }, isEstimated: false },
    ],
    [
      'estimates where nothing was stated',
      {},
      { ...noFigures, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 9 }, isEstimated: true },
    ],
    [
      'no more than the request allowed, whatever its bytes come to',
      { outputBound: 6 },
      { ...noFigures, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 6 }, isEstimated: true },
    ],
    [
      'what the provider states, also beyond what was allowed',
      { outputBound: 6 },
      { ...partial, usage: { ...usage, output: 20 } },
      { ending: 'settled', usage: { ...usage, output: 20 }, isEstimated: true },
    ],
    [
      'the input that was stated, and the output that passed',
      {},
      partial,
      { ending: 'settled', usage: { ...noUsage, input: 30, output: 9 }, isEstimated: true },
    ],
    [
      'the stated output where it is more than what passed',
      {},
      { ...partial, usage: { ...usage, output: 20 } },
      { ending: 'settled', usage: { ...usage, output: 20 }, isEstimated: true },
    ],
    [
      'the input where the client went before an answer',
      { upstreamStatus: 0, wasCutShort: true },
      noFigures,
      { ending: 'settled', usage: { ...noUsage, input: 40 }, isEstimated: true },
    ],
    [
      'nothing where it was never sent',
      { upstreamStatus: 0, wasCutShort: true, wasSent: false },
      noFigures,
      { ending: 'released' },
    ],
    ['nothing where the upstream did not answer', { upstreamStatus: 0 }, noFigures, { ending: 'released' }],
    [
      'nothing for an error',
      { upstreamStatus: 500 },
      { ...noFigures, passed: { output: 50, reasoning: 0 } },
      { ending: 'released' },
    ],
    [
      'nothing for an error during which the client went',
      { upstreamStatus: 429, wasCutShort: true },
      noFigures,
      { ending: 'released' },
    ],
    [
      'the reasoning that was stated beside the text that passed, though it was not shown',
      {},
      { ...partial, usage: { ...noUsage, input: 30, reasoning: 40 }, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: { ...noUsage, input: 30, output: 9, reasoning: 40 }, isEstimated: true },
    ],
    [
      'the reasoning that passed, beside the text',
      {},
      { ...noFigures, passed: { output: 9, reasoning: 6 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 9, reasoning: 6 }, isEstimated: true },
    ],
    [
      'no more of both than the request allowed',
      { outputBound: 10 },
      { ...noFigures, passed: { output: 9, reasoning: 6 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 4, reasoning: 6 }, isEstimated: true },
    ],
    [
      'reasoning that was not shown, by what such answers hide',
      { hiddenFactor: 3 },
      { ...noFigures, passed: { output: 9, reasoning: 6 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 9, reasoning: 36 }, isEstimated: true },
    ],
    [
      'no more of it than the request allowed',
      { hiddenFactor: 3, outputBound: 20 },
      { ...noFigures, passed: { output: 9, reasoning: 6 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 9, reasoning: 11 }, isEstimated: true },
    ],
    [
      'none beside what is stated of it',
      { hiddenFactor: 3 },
      { ...partial, usage: { ...noUsage, input: 30, reasoning: 7 }, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: { ...noUsage, input: 30, output: 9, reasoning: 7 }, isEstimated: true },
    ],
    [
      'estimates where zeros stand beside text',
      {},
      { ...noFigures, usage: noUsage, isComplete: true, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: { ...noUsage, input: 40, output: 9 }, isEstimated: true },
    ],
    [
      'zeros where nothing was written',
      {},
      { ...noFigures, usage: noUsage, isComplete: true },
      { ending: 'settled', usage: noUsage, isEstimated: false },
    ],
    [
      'estimates the output where none is stated beside text',
      {},
      {
        ...noFigures,
        usage: { ...noUsage, input: 10 },
        isComplete: true,
        passed: { output: 9, reasoning: 0 },
      },
      { ending: 'settled', usage: { ...noUsage, input: 10, output: 9 }, isEstimated: true },
    ],
    [
      'nothing for an error that states zeros',
      {},
      { ...noFigures, usage: noUsage, isComplete: true, isError: true },
      { ending: 'released' },
    ],
    ['nothing for an error of status 200', {}, { ...noFigures, isError: true }, { ending: 'released' }],
    [
      'what an error of status 200 states',
      {},
      { ...noFigures, usage, isComplete: true, isError: true },
      { ending: 'settled', usage, isEstimated: false },
    ],
    [
      'nothing more for what is told beside the usage',
      {},
      { ...noFigures, usage, isComplete: true, extras: { toolRequests: { web_search: 2 } } },
      { ending: 'settled', usage, isEstimated: false, extras: { toolRequests: { web_search: 2 } } },
    ],
    [
      'nothing for a redirect',
      { upstreamStatus: 307 },
      { ...noFigures, passed: { output: 5, reasoning: 0 } },
      { ending: 'released' },
    ],
    [
      'nothing for counting',
      { isMetered: false },
      { ...noFigures, usage, isComplete: true, passed: { output: 9, reasoning: 0 } },
      { ending: 'settled', usage: noUsage, isEstimated: false },
    ],
    [
      'nothing for counting that failed',
      { isMetered: false, upstreamStatus: 500 },
      noFigures,
      { ending: 'released' },
    ],
  ]
  for (const [name, changes, figures, expected] of cases) {
    it(name, () => {
      const charge = chargeOf({ ...course, ...changes }, figures)
      assert.deepEqual(charge, { usage: noUsage, isEstimated: false, ...expected })
    })
  }
})
