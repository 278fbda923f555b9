import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createModelPath, withModel } from './model-path.ts'

describe('a path that names the model', () => {
  const template = '/models/{model}:run'

  it('holds the name as one encoded segment', () => {
    assert.equal(withModel(template, 'a/b c$&'), '/models/a%2Fb%20c%24%26:run')
    assert.equal(withModel('/other', 'm'), '/other')
    assert.equal(createModelPath('/other'), undefined)
  })

  it('is read back, and is no other path', () => {
    const modelIn = createModelPath(template)
    for (const model of ['m', 'a/b c$&', 'a:b', '%2F'])
      assert.equal(modelIn?.(withModel(template, model)), model)
    for (const path of [
      '/models/:run',
      '/models/a/b:run',
      '/models/m:walk',
      '/models/%zz:run',
      '/model/m:run',
      ':run',
    ])
      assert.equal(modelIn?.(path), undefined, path)
  })

  it('takes no step to another path', () => {
    const modelIn = createModelPath('/models/{model}')
    for (const segment of ['.', '..', '%2e%2E'])
      assert.equal(modelIn?.(`/models/${segment}`), undefined, segment)
    assert.equal(modelIn?.('/models/..a'), '..a')
  })
})
