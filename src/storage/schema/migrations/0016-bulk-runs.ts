import type { Migration } from './migration.ts'

/**
 * Bulk actions on users: how far each has come, and for each user whom it changed what it takes to undo that. The row of a
 * user is written with the change, so that an action which is taken up again changes each user once.
 */
export const bulkRuns: Migration = {
  number: 16,
  name: 'bulk runs',
  statements: [
    `create table bulk_runs (
      id text not null primary key,
      action text not null,
      target text not null,
      actor text not null,
      state text not null,
      matched bigint not null,
      changed bigint not null default 0,
      unchanged bigint not null default 0,
      failed bigint not null default 0,
      undone bigint not null default 0,
      kept bigint not null default 0,
      position text,
      errors text not null default '[]',
      created_at bigint not null,
      updated_at bigint not null
    )`,
    `create table bulk_changes (
      run_id text not null,
      user_id text not null,
      undo text not null,
      primary key (run_id, user_id)
    ) /* clustered */`,
  ],
}
