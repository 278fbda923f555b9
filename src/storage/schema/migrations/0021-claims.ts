import type { Migration } from './migration.ts'

/**
 * Links that show an access token once. Of the code, and of the secret of the administrator who made the link, there are
 * keyed hashes only.
 */
export const claims: Migration = {
  number: 21,
  name: 'claims',
  statements: [
    `create table claims (
      id text not null primary key,
      user_id text not null,
      code_hmac text not null,
      key_hmac text not null,
      key_id text not null,
      grace_ms bigint,
      created_at bigint not null,
      expires_at bigint not null,
      used_at bigint,
      revoked_at bigint
    )`,
    'create unique index claims_by_code on claims (code_hmac)',
    'create index claims_by_user on claims (user_id)',
    'create index claims_by_end on claims (expires_at)',
  ],
}
