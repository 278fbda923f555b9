import type { Migration } from './migration.ts'

/**
 * Users, their quotas and addresses, the ledger, hourly totals, admin keys, kept answers. All counters are
 * 64-bit. Two databases read this text, so it uses only what both understand; a table that is `clustered` lies in
 * the order of its key where a database can do that.
 */
export const foundation: Migration = {
  number: 1,
  name: 'foundation',
  statements: [
    `create table users (
      id text not null primary key,
      lookup text not null unique,
      sealed text not null,
      shown text not null,
      search text not null,
      type text not null,
      nickname text,
      prompt_count bigint not null default 0,
      created_at bigint not null,
      last_used_at bigint,
      disabled_at bigint,
      disabled_reason text,
      expires_at bigint,
      requests_per_minute bigint,
      concurrent_requests bigint,
      max_ips bigint,
      allowed_networks text,
      allowed_models text,
      period text,
      arrival_at double precision,
      revision bigint not null default 1,
      admin_note text,
      meta text
    )`,
    // None over last_used_at: every request would move its user to another place in it.
    'create index users_by_creation on users (created_at, id)',
    'create index users_by_expiry on users (expires_at, id)',
    'create index users_by_nickname on users (nickname, id)',
    `create table quotas (
      user_id text not null,
      family text not null,
      quota_limit bigint,
      used bigint not null default 0,
      reserved bigint not null default 0,
      open_requests bigint not null default 0,
      period_started_at bigint not null default 0,
      primary key (user_id, family)
    ) /* clustered */`,
    `create table addresses (
      user_id text not null,
      address text not null,
      first_seen_at bigint not null,
      last_seen_at bigint not null,
      primary key (user_id, address)
    ) /* clustered */`,
    // The ledger. Ids begin with the time, so that rows which are written together lie together, and old ones
    // can be found without another index.
    `create table entries (
      id text not null primary key,
      user_id text not null,
      kind text not null,
      route text not null,
      family text not null,
      model text not null,
      state text not null,
      hold bigint not null,
      input_estimate bigint not null,
      is_estimated bigint not null default 0,
      input bigint not null default 0,
      cache_read bigint not null default 0,
      cache_written bigint not null default 0,
      output bigint not null default 0,
      reasoning bigint not null default 0,
      units bigint not null default 0,
      status bigint,
      error_code text,
      upstream text,
      address text,
      instance text not null,
      started_at bigint not null,
      ended_at bigint,
      duration_ms bigint,
      first_byte_ms bigint
    ) /* clustered */`,
    "create index entries_open on entries (instance) where state = 'open'",
    `create table usage_hours (
      user_id text not null,
      hour_at bigint not null,
      family text not null,
      model text not null,
      requests bigint not null,
      input bigint not null,
      cache_read bigint not null,
      cache_written bigint not null,
      output bigint not null,
      reasoning bigint not null,
      primary key (user_id, hour_at, family, model)
    ) /* clustered */`,
    `create table admin_keys (
      id text not null primary key,
      name text not null,
      lookup text not null unique,
      scopes text not null,
      created_at bigint not null,
      expires_at bigint
    )`,
    `create table answers (
      id text not null primary key,
      fingerprint text not null,
      sealed text not null,
      created_at bigint not null
    )`,
    'create index answers_by_creation on answers (created_at)',
    `create table facts (
      name text not null primary key,
      value text not null
    )`,
  ],
}
