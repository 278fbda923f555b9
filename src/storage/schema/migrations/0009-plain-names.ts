import type { Migration } from './migration.ts'

const renamed = [
  ['users', 'lookup', 'token_hmac'],
  ['users', 'sealed', 'token_encrypted'],
  ['users', 'shown', 'token_hint'],
  ['users', 'arrival_at', 'rate_tat'],
  ['quotas', 'extra', 'period_bonus'],
  ['admin_keys', 'lookup', 'key_hmac'],
  ['answers', 'sealed', 'answer_encrypted'],
] as const

/**
 * Columns by the names of what they hold, so that a table can be read without the code: a keyed hash, an encrypted text,
 * the hint of a token, the theoretical arrival time (TAT) of a rate limit, the bonus of a period. Both databases change the
 * name alone, and no row; indexes and constraints follow.
 */
export const plainNames: Migration = {
  number: 9,
  name: 'plain names',
  statements: renamed.map(
    ([table, before, after]) => `alter table ${table} rename column ${before} to ${after}`,
  ),
}
