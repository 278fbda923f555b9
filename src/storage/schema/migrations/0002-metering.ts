import type { Migration } from './migration.ts'

const figures = `requests bigint not null,
      estimated bigint not null,
      input bigint not null,
      cache_read bigint not null,
      cache_written bigint not null,
      output bigint not null,
      reasoning bigint not null`

/**
 * Leases and heartbeats, so that no reservation outlives its owner; additions to a quota for one period; windows
 * for addresses; usage by user and in total, by minute and by hour, for reports; events that others report.
 *
 * What a request adds to usage goes into minutes only; upkeep gathers old minutes into hours, whose second index
 * therefore costs no request anything. The totals of all users are few rows, and a batch adds to each once; where
 * several write at the same time, each has a shard of its own, so that nobody waits for anybody's commit.
 */
export const metering: Migration = {
  number: 2,
  name: 'metering',
  statements: [
    'alter table users add column ip_window_days bigint',
    'alter table users add column ip_limit_action text',
    'alter table quotas add column extra bigint not null default 0',
    'alter table entries add column lease_until bigint',
    "create index entries_leased on entries (lease_until) where state = 'open' and lease_until is not null",
    `create table instances (
      id text not null primary key,
      started_at bigint not null,
      seen_at bigint not null
    )`,
    `create table usage_minutes (
      user_id text not null,
      minute_at bigint not null,
      family text not null,
      model text not null,
      upstream text not null,
      status bigint not null,
      ${figures},
      primary key (user_id, minute_at, family, model, upstream, status)
    ) /* clustered */`,
    `create table user_hours (
      user_id text not null,
      hour_at bigint not null,
      family text not null,
      model text not null,
      upstream text not null,
      status bigint not null,
      ${figures},
      primary key (user_id, hour_at, family, model, upstream, status)
    ) /* clustered */`,
    // Nobody noted the upstream and the status of these.
    `insert into user_hours (user_id, hour_at, family, model, upstream, status, requests, estimated,
        input, cache_read, cache_written, output, reasoning)
      select user_id, hour_at, family, model, '', 0, requests, 0,
        input, cache_read, cache_written, output, reasoning from usage_hours`,
    'drop table usage_hours',
    'alter table user_hours rename to usage_hours',
    'create index usage_hours_by_time on usage_hours (hour_at)',
    `create table total_minutes (
      minute_at bigint not null,
      family text not null,
      model text not null,
      upstream text not null,
      status bigint not null,
      shard bigint not null default 0,
      ${figures},
      primary key (minute_at, family, model, upstream, status, shard)
    ) /* clustered */`,
    `create table total_hours (
      hour_at bigint not null,
      family text not null,
      model text not null,
      upstream text not null,
      status bigint not null,
      shard bigint not null default 0,
      ${figures},
      primary key (hour_at, family, model, upstream, status, shard)
    ) /* clustered */`,
    `insert into total_hours (hour_at, family, model, upstream, status, requests, estimated,
        input, cache_read, cache_written, output, reasoning)
      select hour_at, family, model, upstream, status, sum(requests), sum(estimated),
        sum(input), sum(cache_read), sum(cache_written), sum(output), sum(reasoning)
      from usage_hours group by hour_at, family, model, upstream, status`,
    `create table usage_events (
      id text not null primary key,
      counted_at bigint not null
    ) /* clustered */`,
    'create index usage_events_by_time on usage_events (counted_at)',
  ],
}
