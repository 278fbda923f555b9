import type { Migration } from './migration.ts'

/** A code over both ends of the changes, so that neither can be moved. */
export const changeEnds: Migration = {
  number: 17,
  name: 'change ends',
  statements: ['alter table change_head add column mac text'],
}
