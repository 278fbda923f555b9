import type { User, UserType } from './user.ts'

export interface UserFilter {
  /** Part of a nickname, an id, or the shown part of an access token; case aside. */
  readonly text?: string
  readonly type?: UserType
  readonly state?: 'active' | 'disabled' | 'expired'
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

export interface UserPage {
  readonly users: readonly User[]
  /** Ids of users whose rows cannot be read: they are left out, so that all others can be read. */
  readonly unreadable?: readonly string[]
  /** Absent on the last page. */
  readonly next?: UserCursor
}
