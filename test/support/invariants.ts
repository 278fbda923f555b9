import assert from 'node:assert/strict'
import type { TestDatabase } from './stores.ts'

/**
 * What must hold for the account at any moment, read directly from the tables: `reserved` is the sum of the open
 * entries, `used` is the sum of the closed ones since the period began, and a user's running requests are the open
 * entries. Entries of a front end's people are in its account as well.
 */
export async function assertInvariants(database: Pick<TestDatabase, 'rows'>): Promise<void> {
  const wrong = await database.rows(`
    select * from (select q.user_id, q.family, q.used, q.reserved, q.open_requests, q.period_started_at,
      (select count(*) from entries e
        where (e.user_id = q.user_id or e.front_end_id = q.user_id) and e.family = q.family and e.state = 'open') as open_count,
      (select coalesce(sum(e.hold), 0) from entries e
        where (e.user_id = q.user_id or e.front_end_id = q.user_id) and e.family = q.family and e.state = 'open') as open_sum,
      (select coalesce(sum(e.units), 0) from entries e
        where (e.user_id = q.user_id or e.front_end_id = q.user_id) and e.family = q.family and e.state <> 'open'
          and e.ended_at >= q.period_started_at) as closed_sum
    from quotas q) as compared
    where reserved <> open_sum or used <> closed_sum or open_requests <> open_count`)
  assert.deepEqual(wrong, [], 'used, reserved and running requests are the sums of the ledger')
}
