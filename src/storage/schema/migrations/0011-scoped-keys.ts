import type { Migration } from './migration.ts'

/** Where an admin key may come from, when it was used, and its secret before the present one. */
export const scopedKeys: Migration = {
  number: 11,
  name: 'scoped keys',
  statements: [
    'alter table admin_keys add column allowed_networks text',
    'alter table admin_keys add column last_used_at bigint',
    'alter table admin_keys add column rotated_at bigint',
    'alter table admin_keys add column previous_hmac text',
    'alter table admin_keys add column previous_until bigint',
    'create unique index admin_keys_by_previous on admin_keys (previous_hmac)',
  ],
}
