import type { ColumnType, Generated } from 'kysely'
import type { LimitColumns } from '#core/limits.ts'
import type { FrontEndRow, PersonRow } from './front-end-tables.ts'

/** The tables as Kysely sees them. Rows of these shapes never leave `storage`. */
export interface Schema {
  users: UserRow
  old_tokens: OldTokenRow
  token_digests: TokenDigestRow
  quotas: QuotaRow
  addresses: AddressRow
  user_tags: UserTagRow
  search_texts: SearchTextRow
  bulk_runs: BulkRunRow
  bulk_changes: BulkChangeRow
  purged_users: PurgedUserRow
  front_ends: FrontEndRow
  people: PersonRow
  entries: EntryRow
  user_requests: UserRequestRow
  instances: InstanceRow
  usage_minutes: UsageMinuteRow
  usage_hours: UsageHourRow
  total_minutes: TotalMinuteRow
  total_hours: TotalHourRow
  usage_events: UsageEventRow
  admin_keys: AdminKeyRow
  sessions: SessionRow
  second_factors: SecondFactorRow
  claims: ClaimRow
  answers: AnswerRow
  facts: MetadataRow
  input_corrections: InputCorrectionRow
  changes: ChangeRow
  change_head: ChangeHeadRow
}

export interface UserRow extends LimitColumns {
  id: string
  /** The keyed hash by which the access token is found. */
  token_hmac: string
  token_encrypted: string
  /** The part of the access token that may be shown. */
  token_hint: string
  /** The text that a search looks at first: nickname, id and token hint, in lower case. */
  search: string
  type: string
  nickname: string | null
  prompt_count: number
  created_at: number
  last_used_at: number | null
  disabled_at: number | null
  disabled_reason: string | null
  expires_at: number | null
  /** When `expires_at` was written; null where an earlier version wrote it, as one that was still ahead. */
  expiry_set_at: number | null
  /** The theoretical arrival time of the rate limit's next request. */
  rate_tat: ColumnType<number | null, number | null | undefined, number | null>
  revision: Generated<number>
  admin_note: string | null
  meta: string | null
  /** JSON of a list; null without any. */
  tags: string | null
  /** The version of its settings in `front_ends`; null for a user that is no front end. */
  front_end: ColumnType<string | null, string | null | undefined, string | null>
}

/** The tags of users once more, by which users and usage are found. */
interface UserTagRow {
  user_id: string
  tag: string
}

export interface BulkRunRow {
  id: string
  /** JSON, as are the target, the position and the errors. */
  action: string
  target: string
  actor: string
  state: string
  matched: number
  changed: Generated<number>
  unchanged: Generated<number>
  failed: Generated<number>
  undone: Generated<number>
  kept: Generated<number>
  position: ColumnType<string | null, string | null | undefined, string | null>
  errors: Generated<string>
  created_at: number
  updated_at: number
}

interface BulkChangeRow {
  run_id: string
  user_id: string
  /** JSON of a list of `FieldUndo`. */
  undo: string
}

/** A user whose personal data was removed; see `storage/users/purge.ts`. */
interface PurgedUserRow {
  id: string
  purged_at: number
  /** Where the removal of traces goes on; null when it is done. */
  traces: string | null
}

/** What else a search looks at, in lower case: tags, note and meta. Users without any of them have no row. */
interface SearchTextRow {
  user_id: string
  words: string
}

interface OldTokenRow {
  user_id: string
  token_hmac: string
  token_encrypted: string
  valid_until: number
}

/** An access token of which only the SHA-256 is known. */
interface TokenDigestRow {
  user_id: string
  token_hmac: string
  digest_encrypted: string
  /** Null for as long as the user. */
  valid_until: number | null
}

export interface QuotaRow {
  user_id: string
  family: string
  quota_limit: number | null
  /** Units added to the limit in the period that `period_started_at` began. */
  period_bonus: number
  used: number
  reserved: number
  /** Running requests of this family. */
  open_requests: number
  period_started_at: number
}

interface AddressRow {
  user_id: string
  address: string
  first_seen_at: number
  last_seen_at: number
}

export interface EntryRow {
  id: string
  user_id: string
  kind: string
  route: string
  family: string
  model: string
  state: string
  hold: number
  input_estimate: number
  is_estimated: number
  input: number
  cache_read: number
  cache_written: number
  output: number
  reasoning: number
  units: number
  status: number | null
  error_code: string | null
  upstream: string | null
  address: string | null
  instance: string
  started_at: number
  ended_at: number | null
  duration_ms: number | null
  first_byte_ms: number | null
  /** JSON of `UsageExtras`. */
  extras: string | null
  /** The front end that a person asked through, whose account the entry belongs to as well. */
  front_end_id: ColumnType<string | null, string | null | undefined, string | null>
  /** Set for an entry that belongs to a lease instead of a process; renewing moves it. */
  lease_until: number | null
}

/** The entries of each user, as far as `user-requests.ts` has gathered them. */
interface UserRequestRow {
  user_id: string
  id: string
}

interface InstanceRow {
  id: string
  started_at: number
  seen_at: number
  /** The fingerprint of the master key with which it writes; null for an earlier version, and for what is dead. */
  master_key: ColumnType<string | null, string | null | undefined, string | null>
}

/** The key and sums that all usage tables share. */
interface UsageColumns {
  family: string
  model: string
  upstream: string
  status: number
  requests: number
  estimated: number
  input: number
  cache_read: number
  cache_written: number
  output: number
  reasoning: number
  /** What weights added to the sum of the five, or took away from it. */
  weighing: Generated<number>
}

interface UsageMinuteRow extends UsageColumns {
  user_id: string
  minute_at: number
}

interface UsageHourRow extends UsageColumns {
  user_id: string
  hour_at: number
}

interface TotalMinuteRow extends UsageColumns {
  shard: Generated<number>
  minute_at: number
}

interface TotalHourRow extends UsageColumns {
  shard: Generated<number>
  hour_at: number
}

interface UsageEventRow {
  id: string
  counted_at: number
}

export interface AdminKeyRow {
  id: string
  name: string
  key_hmac: string
  /** Separated by spaces. */
  scopes: string
  created_at: number
  expires_at: number | null
  /** JSON of a list. */
  allowed_networks: string | null
  last_used_at: number | null
  rotated_at: number | null
  /** The keyed hash of the secret before the present one, which is accepted until `previous_until`. */
  previous_hmac: string | null
  previous_until: number | null
  /** Since when it opens sessions only, each with a code. */
  second_factor_at: number | null
}

export interface SecondFactorRow {
  /** The key's. */
  id: string
  secret_encrypted: string
  /** JSON of a list of keyed hashes. */
  recovery_hmacs: string
  /** Null until a code has shown that the app has the secret. */
  confirmed_at: number | null
  last_step: number
  /** Codes that were tried since the last right one. */
  attempts: number
  locked_until: number
}

export interface SessionRow {
  id: string
  session_hmac: string
  /** Of the secret that opened it; empty where a person's sign-on did. */
  key_hmac: string
  key_id: string
  address: string
  created_at: number
  expires_at: number
  idle_until: number
  /** When a code of the key's second factor was given; null: it was opened without one. */
  coded_at: number | null
  /** JSON of the person whose sign-on opened it; null: an admin key did. */
  person: string | null
}

export interface ClaimRow {
  id: string
  user_id: string
  code_hmac: string
  /** Of the secret of the key with which it was made; empty where a person's sign-on did. */
  key_hmac: string
  key_id: string
  /** JSON of the person in whose session it was made; null: an admin key stood behind it. */
  person: string | null
  /** How long the access token before works on, where the link makes another one; null where it does not. */
  grace_ms: number | null
  created_at: number
  expires_at: number
  used_at: ColumnType<number | null, number | null | undefined, number | null>
  revoked_at: ColumnType<number | null, number | null | undefined, number | null>
}

interface AnswerRow {
  id: string
  fingerprint: string
  answer_encrypted: string
  created_at: number
  /** Null where an earlier version wrote it. */
  user_id: string | null
}

interface InputCorrectionRow {
  model: string
  kind: string
  voice: number
  factor: number
  requests: number
  updated_at: number
}

interface MetadataRow {
  name: string
  value: string
}

/** A change of what administrators see; see `core/change.ts`. */
export interface ChangeRow {
  seq: number
  at: number
  actor_kind: string
  actor_id: string | null
  actor_name: string | null
  kind: string
  object: string
  /** JSON of the fields that were changed. */
  fields_before: string | null
  fields_after: string | null
  request_id: string | null
  address: string | null
  /** Covers the other columns and the hash of the row before, as the row was written. */
  hash: string
  /** Of a row that personal data was taken out of: covers what is left, its hash and the hash of the row before. */
  redaction: string | null
}

/** Where the changes end and begin: one row. */
export interface ChangeHeadRow {
  id: string
  seq: number
  hash: string
  /** The newest row that upkeep has removed. */
  removed_seq: number
  removed_hash: string
  /** The key of the hashes, encrypted. */
  key_encrypted: string | null
  /** Covers the four places above, so that neither end can be moved. */
  mac: string | null
}
