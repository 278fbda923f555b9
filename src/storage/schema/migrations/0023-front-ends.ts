import type { Migration } from './migration.ts'

/**
 * Users whose access token many people share, and the users that those people became. The row of a user says only that
 * it is a front end, and by which settings: a request reads that row anyway. An entry of a person names the front end
 * that it came through, whose account it belongs to as well. The index covers open entries with a front end alone, so
 * that other requests do not write to it.
 */
export const frontEnds: Migration = {
  number: 23,
  name: 'front ends',
  statements: [
    'alter table users add column front_end text',
    'alter table entries add column front_end_id text',
    `create index entries_open_through on entries (front_end_id)
      where state = 'open' and front_end_id is not null`,
    `create table front_ends (
      user_id text not null primary key,
      version text not null,
      settings text not null,
      secret_encrypted text
    )`,
    `create table people (
      front_end_id text not null,
      person text not null,
      user_id text not null,
      primary key (front_end_id, person)
    ) /* clustered */`,
    'create index people_by_user on people (user_id)',
  ],
}
