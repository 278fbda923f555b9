import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { plainUpstreams } from './plain-upstreams.ts'

describe('upstreams without TLS', () => {
  it('are named where they are on another host', () => {
    const told = [
      'http://10.0.0.5:8000/v1',
      'http://ollama:11434/v1',
      'http://[2001:db8::1]/v1',
      'http://localhost.example/v1',
    ]
    for (const baseUrl of told) {
      const [sentence = '', ...more] = plainUpstreams([{ name: 'u', baseUrl }])
      assert.match(sentence, /^the upstream u is asked without TLS at /)
      assert.deepEqual(more, [])
    }
  })

  it('are not named on this machine, or with TLS', () => {
    const quiet = [
      'https://api.example/v1',
      'http://127.0.0.1:8000/v1',
      'http://127.9.9.9/',
      'http://[::1]:80/',
      'http://localhost:1/v1',
      'http://a.localhost/v1',
    ]
    assert.deepEqual(plainUpstreams(quiet.map((baseUrl) => ({ name: 'u', baseUrl }))), [])
  })

  it('keep user, password and query of the address to themselves', () => {
    const [sentence = ''] = plainUpstreams([
      { name: 'u', baseUrl: 'http://ann:sesame@host:8000/v1?key=sesame' },
    ])
    assert.ok(sentence.includes(' host:8000: '), sentence)
    assert.ok(!/sesame|ann/.test(sentence))
  })
})
