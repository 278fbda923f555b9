import type { Migration } from './migration.ts'

/** The master key with which an instance writes, by its fingerprint: a rekey ends when no instance writes with another. */
export const instanceKeys: Migration = {
  number: 12,
  name: 'instance keys',
  statements: ['alter table instances add column master_key text'],
}
