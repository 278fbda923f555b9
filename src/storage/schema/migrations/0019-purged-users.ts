import type { Migration } from './migration.ts'

/**
 * Users whose personal data was removed for good. The id stays, so that no other user gets the history that is booked
 * under it. `traces` says where the removal from changes and entries goes on, and is null when it is done.
 *
 * `redaction` of a change is a code over what is left of it, since its hash covers what it was. A kept answer names its
 * user, so that it is found.
 */
export const purgedUsers: Migration = {
  number: 19,
  name: 'purged users',
  statements: [
    `create table purged_users (
      id text not null primary key,
      purged_at bigint not null,
      traces text
    )`,
    'create index purged_users_with_traces on purged_users (id) where traces is not null',
    'alter table changes add column redaction text',
    'alter table answers add column user_id text',
  ],
}
