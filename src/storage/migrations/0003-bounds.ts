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

/** What a version without bounds has stored, brought back into them. */
export const bounds: Migration = {
  number: 3,
  name: 'bounds',
  statements: [...expiry],
  rewrites: [oneSpelling],
}
