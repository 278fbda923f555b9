import { createSortableId } from '#lib/sortable-id.ts'

/** Ids of users are made here and are not secret: they replace the access token in URLs and logs. */
export const userIdPattern = /^usr_[0-9a-hjkmnp-tv-z]{24}$/

export function createUserId(now: number): string {
  return createSortableId('usr_', now)
}

export function isUserId(text: string): boolean {
  return userIdPattern.test(text)
}

/** What is wrong with the SHA-256 of an access token that another user has. */
export const takenDigestIssue = { path: 'tokenSha256', message: "is that of another user's access token" }

/** What is wrong with the id of a new user that another user has, or had until that one was purged. */
export const takenIdIssue = { path: 'id', message: 'is the id of another user: leave it out' }
