import type { Selectable } from 'kysely'
import { shownPartOf } from '#core/access-token.ts'
import { type Policy, viewQuota } from '#core/admission.ts'
import { toCount } from '#core/units.ts'
import {
  type UnreadableUser,
  type User,
  type UserBlock,
  type UserQuota,
  type UserType,
  userTypes,
} from '#core/user.ts'
import type { UserProfile } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import { present } from '#lib/present.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { integer, optional } from '#storage/schema/columns.ts'
import type { UserRow } from '#storage/schema/tables.ts'
import { limitColumns, toLimitColumns, toLimits } from './limit-columns.ts'

/** Converts between a user's rows and the user. A row with an invalid value is a bug, and throws. */
export type StoredUser = Selectable<UserRow>

/** The columns that an administrator's edit writes, which excludes the rate limit's state. */
export type ProfileColumns = Omit<StoredUser, 'rate_tat' | 'front_end'>

export const profileColumns = [
  ...(['id', 'token_hmac', 'token_encrypted', 'token_hint', 'search', 'type', 'nickname'] as const),
  ...(['prompt_count', 'created_at', 'last_used_at', 'disabled_at', 'disabled_reason'] as const),
  ...(['expires_at', 'expiry_set_at'] as const),
  ...limitColumns,
  ...(['revision', 'admin_note', 'meta', 'tags'] as const),
] satisfies readonly (keyof ProfileColumns)[]

export function toUser(
  row: StoredUser,
  quotas: readonly LoadedQuota[],
  addresses: readonly string[],
  parts: { readonly vault: Vault; readonly policy: Policy; readonly now: number },
): User {
  const profile = toProfile(row, addresses)
  return {
    ...profile,
    id: row.id,
    accessToken: unsealed(row, parts.vault),
    quotas: viewed(profile, quotas, parts.policy, parts.now),
    revision: integer(row.revision),
  }
}

/** The quotas of a user at `now`. */
export function viewed(
  user: Pick<UserProfile, 'type' | 'limits'>,
  quotas: readonly LoadedQuota[],
  policy: Policy,
  now: number,
): ReadonlyMap<string, UserQuota> {
  const view = (quota: LoadedQuota): UserQuota => {
    const { used, reserved, extra } = viewQuota(user, quota.family, quota, policy, now)
    return {
      used,
      reserved: toCount(reserved),
      extra,
      openRequests: toCount(quota.openRequests),
      ...(quota.limit !== undefined && { limit: quota.limit }),
    }
  }
  return new Map(quotas.map((quota) => [quota.family, view(quota)]))
}

/** Throws where the token was not encrypted for this user. */
export function unsealed({ id, token_encrypted }: StoredUser, vault: Vault): string {
  try {
    return vault.unseal(token_encrypted, id)
  } catch (cause) {
    throw new TypeError(`the access token of ${id} cannot be decrypted`, { cause })
  }
}

export function toBlock(
  row: Pick<StoredUser, 'id' | 'disabled_at' | 'disabled_reason' | 'expires_at'>,
): UserBlock {
  return {
    id: row.id,
    ...(row.disabled_at !== null && { disabledAt: row.disabled_at }),
    ...(row.disabled_reason !== null && { disabledReason: row.disabled_reason }),
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
  }
}

/** What can be read of a damaged row. */
export function toUnreadable(row: StoredUser, vault: Vault): UnreadableUser {
  const known = {
    accessToken: unlessInvalid(() => unsealed(row, vault)),
    type: unlessInvalid(() => parseType(row.type)),
    nickname: row.nickname ?? undefined,
    promptCount: unlessInvalid(() => integer(row.prompt_count)),
    createdAt: unlessInvalid(() => integer(row.created_at)),
    lastUsedAt: unlessInvalid(() => optional(row.last_used_at, integer)) ?? undefined,
  }
  return { ...toBlock(row), ...present(known), isUnreadable: true }
}

function unlessInvalid<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

export function toProfile(row: StoredUser, addresses: readonly string[]): UserProfile {
  return {
    type: parseType(row.type),
    addresses,
    promptCount: integer(row.prompt_count),
    createdAt: integer(row.created_at),
    limits: toLimits(row),
    ...(row.nickname !== null && { nickname: row.nickname }),
    ...(row.last_used_at !== null && { lastUsedAt: integer(row.last_used_at) }),
    ...(row.disabled_at !== null && { disabledAt: integer(row.disabled_at) }),
    ...(row.disabled_reason !== null && { disabledReason: row.disabled_reason }),
    ...(row.expires_at !== null && { expiresAt: integer(row.expires_at) }),
    ...(row.admin_note !== null && { adminNote: row.admin_note }),
    ...(row.tags !== null && { tags: parseTags(row.tags) }),
    ...(row.meta !== null && { meta: parseMeta(row.meta) }),
  }
}

export function toColumns(
  profile: UserProfile,
  draft: {
    readonly id: string
    readonly accessToken: string
    readonly tokenHmac: string
    readonly tokenEncrypted: string
    readonly expirySetAt: number | null
    readonly revision: number
  },
): ProfileColumns {
  const hint = shownPartOf(draft.accessToken)
  return {
    id: draft.id,
    token_hmac: draft.tokenHmac,
    token_encrypted: draft.tokenEncrypted,
    token_hint: hint,
    search: [profile.nickname ?? '', draft.id, hint].join('\n').toLowerCase(),
    type: profile.type,
    nickname: profile.nickname ?? null,
    prompt_count: profile.promptCount,
    created_at: profile.createdAt,
    last_used_at: profile.lastUsedAt ?? null,
    disabled_at: profile.disabledAt ?? null,
    disabled_reason: profile.disabledReason ?? null,
    expires_at: profile.expiresAt ?? null,
    expiry_set_at: draft.expirySetAt,
    ...toLimitColumns(profile.limits),
    revision: draft.revision,
    admin_note: profile.adminNote ?? null,
    meta: profile.meta ? JSON.stringify(profile.meta) : null,
    tags: profile.tags ? JSON.stringify(profile.tags) : null,
  }
}

export function parseType(text: string): UserType {
  const type = userTypes.find((known) => known === text)
  if (!type) throw new TypeError(`a stored user has the type ${text}`)
  return type
}

function parseMeta(text: string): Record<string, unknown> {
  const meta: unknown = JSON.parse(text)
  if (typeof meta !== 'object' || meta === null) throw new TypeError('a stored meta is not an object')
  return { ...meta }
}

function parseTags(text: string): readonly string[] {
  const tags: unknown = JSON.parse(text)
  if (!Array.isArray(tags)) throw new TypeError('stored tags are not a list')
  return tags.map(String)
}
