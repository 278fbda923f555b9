import assert from 'node:assert/strict'
import { unitsOf } from '#core/usage.ts'
import type { ServedRequest } from '#upstreams/simulated/served.ts'
import { type Account, usageIn } from './account.ts'
import type { Told } from './crash-load.ts'

/** Matches each entry with what the upstream served, and each served request with its entry. */
export function assertServed(account: Account, served: readonly ServedRequest[], mark: string): number {
  const truths = new Map(served.map((each) => [each.model, each]))
  assert.equal(truths.size, served.length, 'nothing was sent twice')
  const entries = account.entries.filter(({ model }) => String(model).includes(`@mark=${mark}-`))
  const byModel = new Map(entries.map((entry) => [String(entry.model), entry]))
  assert.equal(byModel.size, entries.length, 'nothing was admitted twice')
  for (const model of truths.keys()) assert.ok(byModel.has(model), `${model} was sent without an entry`)
  let exact = 0
  for (const entry of entries) {
    const truth = truths.get(String(entry.model))
    const what = JSON.stringify({ entry, truth })
    // How far the request came is unknown; that it is charged its estimated input is checked with the account.
    if (entry.state === 'abandoned') continue
    if (entry.state === 'released') assert.equal(truth, undefined, `sent and not charged: ${what}`)
    else if (entry.is_estimated === 1) assert.ok(Number(entry.units) > 0, what)
    else {
      assert.deepEqual(usageIn(entry), truth?.usage, what)
      exact += truth?.usage ? unitsOf(truth.usage) : 0
    }
  }
  return exact
}

/** Asserts that everything clients and administrators were told is stored. */
export function assertTold(account: Account, { users, answers, unexpected }: Told): void {
  assert.deepEqual(unexpected, [])
  const entries = new Map(account.entries.map((entry) => [String(entry.model), entry]))
  for (const [model, { requestId, units }] of answers) {
    const entry = entries.get(model)
    const what = JSON.stringify({ model, requestId, units, entry })
    assert.deepEqual([entry?.id, entry?.state, entry?.is_estimated], [requestId, 'settled', 0], what)
    if (units !== undefined) assert.equal(entry?.units, units, what)
  }
  for (const [id, { versions, acknowledged }] of users) {
    const row = account.users.get(id)
    const what = JSON.stringify({ id, row, acknowledged, versions })
    assert.ok(row, `a user that was made is there: ${what}`)
    const at = Number(row.admin_note ?? 0)
    assert.ok(at >= acknowledged && at <= versions.length, `an edit that was answered is there: ${what}`)
    const version = versions[at - 1]
    if (!version) continue
    const { requestsPerMinute, disabledAt } = version
    assert.deepEqual([row.requests_per_minute, row.disabled_at], [requestsPerMinute, disabledAt], what)
  }
}
