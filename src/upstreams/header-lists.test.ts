import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { answerHeaders, requestHeaders, withOwn } from './header-lists.ts'

describe('headers that cross the gateway', () => {
  it('go upstream but for what is hop by hop, ours, or named by Connection', () => {
    const raw = [
      'Host',
      'x',
      'Connection',
      'close, X-Hop',
      'connection',
      'Other',
      'X-Hop',
      '1',
      'OTHER',
      '2',
      'X-API-Key',
      's',
    ]
    raw.push(
      'Authorization',
      's',
      'Content-Length',
      '3',
      'X-Forwarded-Host',
      'h',
      'X-Account',
      'org',
      'X-Real-IP',
      'a',
      'Content-Type',
      'j',
      'A',
      '1',
      'a',
      '2',
    )
    assert.deepEqual(requestHeaders(raw, ['x-account']), [
      'content-type',
      'j',
      'a',
      '1',
      'a',
      '2',
      'accept-encoding',
      'identity',
    ])
  })

  it('come back but for what is hop by hop, private, or named by Connection', () => {
    const headers = {
      connection: 'X-Hop',
      'x-hop': '1',
      'transfer-encoding': 'chunked',
      'x-private': '2',
      link: ['a', 'b'],
      date: 'd',
    }
    assert.deepEqual(
      answerHeaders(headers, (name) => name === 'x-private'),
      ['link', 'a', 'link', 'b', 'date', 'd'],
    )
  })

  it("let a client's own stand before a default, and a credential before a client's own", () => {
    const own = { credential: ['x-key', 'ours'], defaults: ['version', '1', 'mode', 'm'] }
    assert.deepEqual(withOwn(['version', '2', 'x-key', 'theirs'], own), [
      'version',
      '2',
      'mode',
      'm',
      'x-key',
      'ours',
    ])
  })
})
