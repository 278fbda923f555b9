import type { Migration } from './migration.ts'

/** Sessions that a provider's sign-on has opened, and no admin key. */
export const signOn: Migration = {
  number: 22,
  name: 'sign-on',
  statements: ['alter table sessions add column person text'],
}
