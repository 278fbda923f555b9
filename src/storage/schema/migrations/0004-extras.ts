import type { Migration } from './migration.ts'

/**
 * What a provider states beside the units of a request and prices apart, as one object of JSON (`UsageExtras`): most
 * requests have none of it, and what there is differs by provider.
 */
export const extras: Migration = {
  number: 4,
  name: 'extras',
  statements: ['alter table entries add column extras text'],
}
