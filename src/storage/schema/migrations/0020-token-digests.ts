import type { Migration } from './migration.ts'

/**
 * Access tokens of which only the SHA-256 is known, such as those of another gateway: at most one for each user, beside
 * the present one. The table is asked only for an access token that no user has.
 */
export const tokenDigests: Migration = {
  number: 20,
  name: 'token digests',
  statements: [
    `create table token_digests (
      user_id text not null primary key,
      token_hmac text not null unique,
      digest_encrypted text not null,
      valid_until bigint
    )`,
    'create index token_digests_by_end on token_digests (valid_until)',
  ],
}
