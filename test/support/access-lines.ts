import assert from 'node:assert/strict'
import { errorTable } from '#core/errors.ts'

/** Asserts that the log has a line with the code for each refused request, and a code on no other line. */
export function assertCodes(log: string): void {
  const lines = log
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line))
    .filter(({ msg }) => msg === 'request')
  const refused = lines.filter(({ status }) => Number(status) >= 400 && status !== 499)
  assert.ok(refused.length > 0, 'something was refused')
  for (const line of refused) {
    const row = Object.entries(errorTable).find(([code]) => code === line.code)
    assert.ok(row, `a line without a code: ${JSON.stringify(line)}`)
    assert.equal(row[1].status, line.status, JSON.stringify(line))
  }
  const others = lines.filter(({ status }) => Number(status) < 400)
  assert.deepEqual(
    others.filter(({ code }) => code !== undefined),
    [],
  )
}
