import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  answerHeaders,
  createHeaderList,
  createNeverPassed,
  requestHeaders,
  withOwn,
} from './header-lists.ts'

describe('headers that cross the gateway', () => {
  const never = createNeverPassed(['x-api-key', 'x-goog-api-key'])
  const raw = (headers: readonly (readonly [string, string])[]) => headers.flat()

  it('go upstream where a list names them, and never by a beginning what could not be right there', () => {
    const sent = raw([
      ['Host', 'x'],
      ['Connection', 'close, X-Hop'],
      ['connection', 'Other'],
      ['X-Hop', '1'],
      ['OTHER', '2'],
      ['X-API-Key', 's'],
      ['X-Goog-Api-Key', 's'],
      ['X-Forwarded-Host', 'h'],
      ['X-Acme-Tenant', 't'],
      ['Unknown', 'u'],
      ['Content-Type', 'j'],
      ['A', '1'],
      ['a', '2'],
    ])
    const list = createHeaderList(['content-type', 'a', 'x-hop', 'other', 'x-*', 'x-api-key', 'host'], never)
    assert.deepEqual(requestHeaders(sent, list), [
      'x-acme-tenant',
      't',
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

  it('come back where a list names them', () => {
    const headers = {
      connection: 'X-Hop',
      'x-hop': '1',
      'transfer-encoding': 'chunked',
      'x-unknown': '2',
      link: ['a', 'b'],
      'x-request-id': 'theirs',
      deprecation: 'd',
    }
    const list = createHeaderList(['link', 'deprecation', 'x-hop', 'x-request-id', 'transfer-*'], never)
    assert.deepEqual(answerHeaders(headers, list), ['link', 'a', 'link', 'b', 'deprecation', 'd'])
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
