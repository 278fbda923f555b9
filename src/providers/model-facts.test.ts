import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { modelFacts, ownerOf } from './model-facts.ts'

describe('what is shown of a model', () => {
  it("is what it can do, without places on the server and the operator's names", () => {
    const source = {
      context_length: 8192,
      root: '/srv/models/m.gguf',
      meta: {
        n_ctx_train: 4096,
        path: '/srv/m.gguf',
        adapters: ['/srv/lora', 'tools'],
        note: 'by org-abcdef123456',
      },
      description: null,
      capabilities: { tools: true, 'model-url': 'http://10.0.0.5/m' },
    }
    assert.deepEqual(modelFacts(source), {
      context_length: 8192,
      meta: { n_ctx_train: 4096, adapters: ['tools'], note: 'by (hidden)' },
      capabilities: { tools: true },
    })
  })

  it('names its maker as owner, and no account', () => {
    assert.equal(ownerOf({ owned_by: 'openai-internal' }), 'openai-internal')
    assert.equal(ownerOf({ owned_by: 'org-abcdef123456' }), 'system')
    assert.equal(ownerOf({ owned_by: 'user-abcdefghij0123456789' }), 'system')
    assert.equal(ownerOf({ owned_by: 7 }), 'system')
    assert.equal(ownerOf(undefined), 'system')
  })
})
