import type { Migration } from './migration.ts'

/** Logins of browsers. Both secrets, the session's and that of the key that opened it, are keyed hashes. */
export const sessions: Migration = {
  number: 14,
  name: 'sessions',
  statements: [
    `create table sessions (
      id text not null primary key,
      session_hmac text not null,
      key_hmac text not null,
      key_id text not null,
      address text not null,
      created_at bigint not null,
      expires_at bigint not null,
      idle_until bigint not null
    )`,
    'create unique index sessions_by_hmac on sessions (session_hmac)',
  ],
}
