import type { Migration } from './migration.ts'

/**
 * What weights added to the sum of the kinds in a row of usage, or took away from it, so that what counts against quotas
 * can be told by the weights of when each request was charged. Rows that are there already had none: a default says
 * that of all of them at once, however many they are.
 */
export const weights: Migration = {
  number: 8,
  name: 'weights',
  statements: ['usage_minutes', 'usage_hours', 'total_minutes', 'total_hours'].map(
    (table) => `alter table ${table} add column weighing bigint not null default 0`,
  ),
}
