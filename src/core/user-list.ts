import type { User, UserType } from './user.ts'

export interface UserFilter {
  /** Part of a nickname, an id, the shown part of an access token, a tag, the note or the meta; case aside. */
  readonly text?: string
  /** Only these users; a few hundred. */
  readonly ids?: readonly string[]
  readonly type?: UserType
  readonly state?: 'active' | 'disabled' | 'expired'
  /** Users who carry all of these. */
  readonly tags?: readonly string[]
  /** Used last at this instant or later. */
  readonly usedFrom?: number
  /** Used last before this instant, or never. */
  readonly usedBefore?: number
  /** At least this share of a quota of this period is used: of this family, or of any. */
  readonly usedShare?: UsedShare
  /** At least as many addresses are kept. */
  readonly addressesMin?: number
  /** Users whom a bulk run has changed, by its id, as long as that is kept. */
  readonly run?: string
}

/** Limits of 0 and users without a limit have no share. */
export interface UsedShare {
  readonly percent: number
  readonly family?: string
}

export type UserSortField = 'createdAt' | 'lastUsedAt' | 'expiresAt' | 'nickname' | 'promptCount'

export interface UserPageRequest {
  readonly filter?: UserFilter
  readonly sort?: { readonly field: UserSortField; readonly descending: boolean }
  /** `next` of the page before. */
  readonly after?: UserCursor
  readonly limit: number
  readonly now: number
}

/** Where a page ended: the sort field's value and the id of its last user. */
export interface UserCursor {
  readonly value: string | number | null
  readonly id: string
}

/** Asks for users in the order of creation, as text. */
export interface UserTextRequest extends Pick<UserPageRequest, 'after' | 'limit' | 'now'> {
  /** Whether access tokens are masked. */
  readonly isMasked: boolean
}

export interface UserTexts {
  /** UTF-8: the users as JSON in the form of the admin API, each behind a comma. */
  readonly text: Uint8Array
  readonly count: number
  /** As in `UserPage`. */
  readonly unreadable?: readonly string[]
  readonly next?: UserCursor
}

export interface UserPage {
  readonly users: readonly User[]
  /** Ids of users whose rows cannot be read: they are left out, so that all others can be read. */
  readonly unreadable?: readonly string[]
  /** Absent on the last page. */
  readonly next?: UserCursor
}
