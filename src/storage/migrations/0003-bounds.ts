import type { Migration } from './migration.ts'

/**
 * When a user's expiry was written: the removal of expired users counts from the later of the expiry and this, so
 * that importing users who expired long ago does not remove them within a minute.
 */
const expiry = ['alter table users add column expiry_set_at bigint']

/** What a version without bounds has stored, brought back into them. */
export const bounds: Migration = {
  number: 3,
  name: 'bounds',
  statements: [...expiry],
}
