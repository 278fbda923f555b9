import type { Migration } from './migration.ts'

/**
 * Requests of one user, newest first. Closed ones only: an admission, which its client waits for, writes nothing to it,
 * and of the open ones, which are few, `entries_open` knows.
 */
export const requests: Migration = {
  number: 6,
  name: 'requests',
  statements: ["create index entries_of_user on entries (user_id, id) where state <> 'open'"],
}
