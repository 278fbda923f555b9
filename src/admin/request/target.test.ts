import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { parseQuery, parseRequestTarget } from './target.ts'

const targets: readonly (readonly [string, string, string])[] = [
  ['/admin/users', '/admin/users', ''],
  ['/admin/users?a=b?c', '/admin/users', 'a=b?c'],
  ['/admin/users/..', '/admin/users/..', ''],
  ['/admin/users/%2e%2e?x', '/admin/users/%2e%2e', 'x'],
  ['/a#b?c', '/a', ''],
  ['http://example.com/a?b', '/a', 'b'],
  ['HTTPS://example.com', '/', ''],
  ['http://example.com?a', '/', 'a'],
  ['//example.com/a', '//example.com/a', ''],
  ['*', '*', ''],
]

describe('a request target', () => {
  for (const [raw, path, query] of targets) {
    it(`takes ${raw} as it was sent`, () => assert.deepEqual(parseRequestTarget(raw), { path, query }))
  }

  it('is decoded once and strictly', () => {
    assert.equal(percentDecoded('a%2Fb+c'), 'a/b+c')
    assert.equal(percentDecoded('%252F'), '%2F')
    for (const broken of ['%', '%2', '%zz', '%ff', '%c0%af', '%ed%a0%80'])
      assert.equal(percentDecoded(broken), undefined)
  })
})

describe('a query', () => {
  it('gives each name its value', () => {
    const reading = parseQuery('a=1&b=x%26y+z&c&&__proto__=p&d==')
    assert.equal(reading.kind, 'read')
    if (reading.kind !== 'read') return
    assert.deepEqual(
      [...reading.value],
      [
        ['a', '1'],
        ['b', 'x&y z'],
        ['c', ''],
        ['__proto__', 'p'],
        ['d', '='],
      ],
    )
  })

  for (const [query, path] of [
    ['a=%', 'a'],
    ['a=%ff', 'a'],
    ['%=a', ''],
    ['a=1&a=1', 'a'],
    ['a=1&%61=2', 'a'],
  ] as const) {
    it(`refuses ${query}`, () =>
      assert.partialDeepStrictEqual(parseQuery(query), { kind: 'invalid', issues: [{ path }] }))
  }
})
