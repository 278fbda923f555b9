import type { Migration } from './migration.ts'

/**
 * The access token that a user had before the present one, as long as it is accepted as well: at most one for each user.
 * The table is asked only for an access token that no user has.
 */
export const oldTokens: Migration = {
  number: 15,
  name: 'old tokens',
  statements: [
    `create table old_tokens (
      user_id text not null primary key,
      token_hmac text not null unique,
      token_encrypted text not null,
      valid_until bigint not null
    )`,
    'create index old_tokens_by_end on old_tokens (valid_until)',
  ],
}
