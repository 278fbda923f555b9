import type { Migration } from './migration.ts'

/** Links that were made in a session that a provider's sign-on has opened, and no admin key. */
export const claimPersons: Migration = {
  number: 24,
  name: 'claim persons',
  statements: ['alter table claims add column person text'],
}
