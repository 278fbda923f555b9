import type { Migration } from './migration.ts'
import { oneSpelling } from './one-spelling.ts'

/**
 * When a user's expiry was written: the removal of expired users counts from the later of the expiry and this, so
 * that importing users who expired long ago does not remove them within a minute. Who has expired by now may have been
 * written a moment ago, and counts from this migration.
 */
const expiry = [
  'alter table users add column expiry_set_at bigint',
  `update users set expiry_set_at = (select applied_at from migrations where number = 3)
     where type = 'temporary' and expires_at < (select applied_at from migrations where number = 3)`,
]

const [unitsMax, instantMax] = ['1000000000000', '8640000000000000']

function lowered(table: string, columns: readonly string[], max: string): string {
  const sets = columns.map((name) => `${name} = case when ${name} > ${max} then ${max} else ${name} end`)
  return `update ${table} set ${sets.join(', ')} where ${columns.map((name) => `${name} > ${max}`).join(' or ')}`
}

/** Limits, prompts and times as they may come in now: what is answered can be put back. */
const profiles = [
  lowered('users', ['prompt_count', 'requests_per_minute', 'concurrent_requests', 'max_ips'], unitsMax),
  lowered('users', ['created_at', 'last_used_at', 'disabled_at', 'expires_at'], instantMax),
  lowered('quotas', ['quota_limit'], unitsMax),
  lowered('admin_keys', ['expires_at'], instantMax),
]

const sumMax = '9007199254740991'
const holders =
  "from entries where state = 'open' and entries.user_id = quotas.user_id and entries.family = quotas.family"

/**
 * Figures beyond which nothing could be read again. Of entries only the open ones, to which an index leads; what
 * requests were added up to is few rows where it is that of all users together, and for the rest saturates when it is
 * read and when it is added to. What is reserved is added up anew where the open entries cannot hold it.
 */
const account = [
  `update entries set hold = ${unitsMax} where state = 'open' and hold > ${unitsMax}`,
  `update entries set input_estimate = ${unitsMax} where state = 'open' and input_estimate > ${unitsMax}`,
  lowered('quotas', ['used', 'extra'], sumMax),
  `update quotas set reserved = (select coalesce(sum(hold), 0) ${holders}),
      open_requests = (select count(*) ${holders})
    where reserved < 0 or open_requests < 0
      or (reserved > 0 and (reserved - 1) / ${unitsMax} >= open_requests)`,
  ...['total_minutes', 'total_hours'].map((table) =>
    lowered(table, ['input', 'cache_read', 'cache_written', 'output', 'reasoning'], sumMax),
  ),
]

/** What a version without bounds has stored, brought back into them. */
export const bounds: Migration = {
  number: 3,
  name: 'bounds',
  statements: [...expiry, ...profiles, ...account],
  rewrites: [oneSpelling],
}
