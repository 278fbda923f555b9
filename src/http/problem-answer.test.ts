import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createProblem } from '#core/errors.ts'
import { renderProblem } from './problem-answer.ts'

describe('the admin error envelope', () => {
  it('is the contract’s, with ours beside it', () => {
    const answer = renderProblem(createProblem('not_found'), 'req_1', 0)
    assert.equal(answer.status, 404)
    assert.deepEqual(JSON.parse(answer.body), { error: 'Not found', code: 'not_found', requestId: 'req_1' })
    assert.deepEqual(answer.headers, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': 'req_1',
      'x-should-retry': 'false',
    })
  })

  it('names what is wrong, and when to come back', () => {
    const issues = [{ path: 'a', message: 'b' }]
    assert.deepEqual(
      JSON.parse(renderProblem(createProblem('bad_request', 'x', { issues }), 'r', 0).body).issues,
      issues,
    )
    const throttled = renderProblem(createProblem('throttled', undefined, { retryAt: 2001 }), 'r', 1000)
    assert.equal(throttled.headers['retry-after'], '2')
    assert.match(
      renderProblem(createProblem('unknown_admin_key'), 'r', 0).headers['www-authenticate'] ?? '',
      /^Bearer/,
    )
  })

  it('says which limit it was', () => {
    const limit = { name: 'maxIps', limit: 2, used: 2 } as const
    const answer = renderProblem(createProblem('address_limit', undefined, { limit }), 'r', 0)
    assert.deepEqual(JSON.parse(answer.body).limit, limit)
  })

  const wanted: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, false],
    ['*/*', false],
    ['application/*', false],
    ['application/json', false],
    ['application/problem+json', true],
    ['Application/Problem+JSON;q=0.5, */*', true],
    ['application/problem+json;q=0', false],
    ['application/problem+jsonx', false],
  ]
  for (const [accept, expected] of wanted) {
    it(`is a problem of RFC 9457 for ${accept}: ${expected}`, () => {
      const { headers, body } = renderProblem(createProblem('conflict', 'why'), 'r', 0, { accept })
      assert.equal(headers['content-type'] === 'application/problem+json', expected)
      const { title, status, detail, error } = JSON.parse(body)
      assert.equal(error, 'why')
      assert.deepEqual(
        [title !== undefined, status, detail],
        expected ? [true, 409, 'why'] : [false, undefined, undefined],
      )
    })
  }
})
