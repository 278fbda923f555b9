import assert from 'node:assert/strict'
import { it } from 'node:test'
import { defaultBehaviour, readBehaviour } from './behaviour.ts'

it('a request cannot ask for what would harm the simulated upstream', () => {
  const asked = 'm@units=1e308,delay=1e300,chunk-delay=9007199254740993,status=1e9'
  const { units, delayMs, chunkMs, status } = readBehaviour(asked, undefined, defaultBehaviour)
  assert.deepEqual([units, delayMs, chunkMs, status], [1_000_000, 2 ** 31 - 1, 2 ** 31 - 1, 599])
  const figures = readBehaviour('m@units=5,reasoning=9007199254740991', undefined, defaultBehaviour)
  assert.deepEqual([figures.units, figures.reasoning], [5, 2 ** 53 - 1], 'it may state absurd figures')
})
