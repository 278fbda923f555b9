import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { badInput, issuesMax, issuesUnder, pathOf } from './issues.ts'
import { parseBy, toReading } from './parsed.ts'

describe('what is wrong with an input', () => {
  it('stands at a place that callers can read', () => {
    assert.equal(pathOf(['users', 3, 'tokenLimits', 'claude']), 'users[3].tokenLimits.claude')
    assert.equal(pathOf([3, 'usage', 'input']), '[3].usage.input')
    assert.equal(pathOf([]), '')
  })

  it('is put under a place, wherever it stands in what is there', () => {
    const paths = ['', 'a', '[2].a'].flatMap((path) =>
      issuesUnder('list[3]', [{ path, message: 'is wrong' }]),
    )
    assert.deepEqual(
      paths.map(({ path }) => path),
      ['list[3]', 'list[3].a', 'list[3][2].a'],
    )
    assert.deepEqual(issuesUnder('', [{ path: 'a', message: 'm' }]), [{ path: 'a', message: 'm' }])
  })

  it('is told in full up to a bound, and in the sentence by its first', () => {
    const issues = Array.from({ length: issuesMax + 5 }, (_, index) => ({
      path: `[${index}]`,
      message: 'is wrong',
    }))
    const { code, message, issues: told } = badInput(issues)
    assert.deepEqual(
      [code, message, told?.length],
      ['bad_request', `[0]: is wrong (and ${issuesMax + 4} more)`, issuesMax],
    )
    assert.equal(badInput(issues.slice(0, 1)).message, '[0]: is wrong')
    assert.equal(badInput([{ path: '', message: 'is wrong' }]).message, 'is wrong')
  })
})

describe('a value by a schema', () => {
  const failing = (issue: object) => ({
    safeParse: () => ({
      success: false as const,
      error: { issues: [{ path: [], message: 'from the library', ...issue }] },
    }),
  })

  it('names each member that is not known, within the value by words of the caller', () => {
    const long = 'x'.repeat(100)
    const unknown = { code: 'unrecognized_keys', keys: ['a', long] }
    assert.deepEqual(parseBy(failing(unknown), {}, 'is no family'), {
      kind: 'invalid',
      issues: ['a', long.slice(0, 80)].map((path) => ({
        path,
        message: 'is not a known field',
      })),
    })
    const inside = parseBy(failing({ ...unknown, path: ['tokenLimits'] }), {}, 'is no family')
    assert.deepEqual(inside.kind === 'invalid' && inside.issues[0], {
      path: 'tokenLimits.a',
      message: 'is no family',
    })
  })

  it('is read, or is the problem that names what is wrong', () => {
    const fine = { safeParse: (value: unknown) => ({ success: true as const, data: value }) }
    assert.deepEqual(toReading(parseBy(fine, 7)), { kind: 'read', value: 7 })
    const refused = toReading(parseBy(failing({ path: ['name'], message: 'is required' }), {}))
    assert.equal(refused.kind === 'refused' && refused.problem.message, 'name: is required')
  })
})
