import type { Migration } from './migration.ts'

/** Second factors of admin keys; the key's own row says since when it needs one. */
export const secondFactors: Migration = {
  number: 18,
  name: 'second factors',
  statements: [
    'alter table admin_keys add column second_factor_at bigint',
    'alter table sessions add column coded_at bigint',
    `create table second_factors (
      id text not null primary key,
      secret_encrypted text not null,
      recovery_hmacs text not null,
      confirmed_at bigint,
      last_step bigint not null,
      attempts bigint not null,
      locked_until bigint not null
    )`,
  ],
}
