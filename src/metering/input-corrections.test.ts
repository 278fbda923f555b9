import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { correctedModelsMax, voiceOf } from '#core/input-correction.ts'
import { noFactors } from '#core/input-kinds.ts'
import { createInputCorrections } from './input-corrections.ts'

const nothing = { plain: 0, tools: 0, serverTools: 0, images: 0, documents: 0, audio: 0, sealed: 0 }
const image = (userId: string, model: string) => ({
  userId,
  model,
  units: { ...nothing, plain: 20, images: 1600 },
  real: 8020,
})

describe('corrections in memory', () => {
  it('are one until something was learned, and each model has its own', () => {
    const corrections = createInputCorrections()
    assert.equal(corrections.factorsOf('gpt-4o'), noFactors)
    for (let n = 0; n < 20; n += 1) corrections.learn(image('usr_1', 'gpt-4o'))
    assert.ok(corrections.factorsOf('gpt-4o').images > 4)
    assert.equal(corrections.factorsOf('gpt-4o-mini').images, 1)
  })

  it('hand out what has changed, once, and again where it could not be stored', () => {
    const corrections = createInputCorrections()
    for (let n = 0; n < 3; n += 1) corrections.learn(image('usr_1', 'gpt-4o'))
    const taken = corrections.takeChanged(100)
    const [only] = taken
    assert.ok(only && taken.length === 1)
    assert.deepEqual(
      { ...only, factor: 0 },
      { model: 'gpt-4o', kind: 'images', voice: voiceOf('usr_1'), factor: 0, requests: 3 },
    )
    assert.deepEqual(corrections.takeChanged(100), [])
    corrections.putBack(taken)
    assert.deepEqual(corrections.takeChanged(100), taken)
  })

  it('take over what others learned, but keep what is newer here', () => {
    const corrections = createInputCorrections()
    corrections.learn(image('usr_1', 'gpt-4o'))
    const own = corrections.factorsOf('gpt-4o').images
    const other = { model: 'gpt-4o', kind: 'images', requests: 9 } as const
    corrections.merge([{ ...other, voice: voiceOf('usr_1'), factor: 7 }])
    assert.equal(corrections.factorsOf('gpt-4o').images, own)
    const [a, b] = [0, 1, 2].filter((voice) => voice !== voiceOf('usr_1'))
    corrections.merge([a ?? 0, b ?? 0].map((voice) => ({ ...other, voice, factor: 7 })))
    assert.equal(corrections.factorsOf('gpt-4o').images, 7)
    corrections.takeChanged(100)
    corrections.merge([{ ...other, voice: voiceOf('usr_1'), factor: 7 }])
    assert.deepEqual(corrections.takeChanged(100), [], 'what came from elsewhere is not written again')
  })

  it('learn on, more rarely, when much was learned', () => {
    const corrections = createInputCorrections()
    for (let n = 0; n < 200; n += 1) corrections.learn(image('usr_1', 'gpt-4o'))
    const before = corrections.factorsOf('gpt-4o').images
    for (let n = 0; n < 7; n += 1) corrections.learn({ ...image('usr_1', 'gpt-4o'), real: 900 })
    const soon = corrections.factorsOf('gpt-4o').images
    for (let n = 0; n < 200; n += 1) corrections.learn({ ...image('usr_1', 'gpt-4o'), real: 900 })
    assert.ok(soon > before / 1.5, `${before} ${soon}`)
    assert.ok(corrections.factorsOf('gpt-4o').images < 0.65, `${corrections.factorsOf('gpt-4o').images}`)
  })

  it('take no absurd factor over', () => {
    const corrections = createInputCorrections()
    for (const factor of [Number.NaN, Number.POSITIVE_INFINITY, -5, 1e300]) {
      corrections.merge([0, 1, 2].map((voice) => ({ model: 'm', kind: 'plain', voice, factor, requests: 1 })))
      const { plain } = corrections.factorsOf('m')
      assert.ok(plain >= 0.25 && plain <= 4, `${factor}: ${plain}`)
    }
  })

  it('forget names that were made up before models that are used', () => {
    const corrections = createInputCorrections()
    for (let n = 0; n < 20; n += 1) corrections.learn(image('usr_1', 'gpt-4o'))
    for (let n = 0; n < 4 * correctedModelsMax; n += 1) corrections.learn(image('usr_2', `made-up-${n}`))
    assert.ok(corrections.factorsOf('gpt-4o').images > 4)
    const known = new Set(corrections.takeChanged(100_000).map(({ model }) => model))
    assert.ok(known.size <= correctedModelsMax, `${known.size}`)
  })
})

describe('hidden output in memory', () => {
  it('is learned of models that hide some, handed out and taken over as the rest is', () => {
    const [here, there] = [createInputCorrections(), createInputCorrections()]
    const answer = (model: string, shown: number, all: number) => ({ userId: 'usr_1', model, shown, all })
    for (let n = 0; n < 30; n += 1) {
      here.learnHidden(answer('o9', 500, 2000))
      here.learnHidden(answer('gpt-4o', 500, 500))
      here.learnHidden(answer('o9-silent', 0, 2000))
    }
    const { hidden } = here.factorsOf('o9')
    assert.ok(hidden > 3.6 && hidden < 4.4, `${hidden}`)
    assert.equal(here.factorsOf('gpt-4o'), noFactors)
    assert.equal(here.factorsOf('o9-silent'), noFactors)
    const taken = here.takeChanged(100)
    assert.deepEqual(
      taken.map(({ model, kind }) => [model, kind]),
      [['o9', 'hidden']],
    )
    there.merge(taken)
    assert.equal(there.factorsOf('o9').hidden, hidden)
    assert.equal(there.factorsOf('o9').plain, 1)
  })

  it('is heard less often of a voice that has heard much', () => {
    const corrections = createInputCorrections()
    for (let n = 0; n < 64; n += 1)
      corrections.learnHidden({ userId: 'usr_1', model: 'o9', shown: 500, all: 1000 })
    const before = corrections.factorsOf('o9')
    for (let n = 0; n < 7; n += 1)
      corrections.learnHidden({ userId: 'usr_1', model: 'o9', shown: 500, all: 9000 })
    assert.equal(corrections.factorsOf('o9'), before)
    corrections.learnHidden({ userId: 'usr_1', model: 'o9', shown: 500, all: 9000 })
    assert.ok(corrections.factorsOf('o9').hidden > before.hidden)
  })
})
