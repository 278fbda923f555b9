import type { Migration } from './migration.ts'

/**
 * One row for each change of what administrators see, written in the transaction of the change. `hash` covers the row
 * and the hash before it. `change_head` has one row: the place of the newest change, which each writer locks, so that
 * rows become visible in the order of `seq`; and the place of the newest row that upkeep has removed.
 */
export const changes: Migration = {
  number: 13,
  name: 'changes',
  statements: [
    `create table changes (
      seq bigint not null primary key,
      at bigint not null,
      actor_kind text not null,
      actor_id text,
      actor_name text,
      kind text not null,
      object text not null,
      fields_before text,
      fields_after text,
      request_id text,
      address text,
      hash text not null
    ) /* clustered */`,
    'create index changes_by_object on changes (object, seq)',
    'create index changes_by_actor on changes (actor_id, seq)',
    'create index changes_by_kind on changes (kind, seq)',
    'create index changes_by_time on changes (at, seq)',
    `create table change_head (
      id text not null primary key,
      seq bigint not null,
      hash text not null,
      removed_seq bigint not null,
      removed_hash text not null,
      key_encrypted text
    ) /* clustered */`,
  ],
}
