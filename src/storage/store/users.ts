import type { BulkStep } from '#core/bulk-run.ts'
import type { By } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import type { UnreadableUser, User, UserBlock, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserFilter, UserPage, UserPageRequest, UserTextRequest, UserTexts } from '#core/user-list.ts'
import type { UserRef, WriteRef } from '#core/user-ref.ts'

export interface UserWrite {
  readonly ref: WriteRef
  readonly edit: UserEdit
  /** Refuse unless the user has this revision (`If-Match`); 'any' requires only that the user exists. */
  readonly expectedRevision?: number | 'any'
  /** The id of the user if the write creates one; absent: a fresh one. No other user may have it. */
  readonly newId?: string
  /** The SHA-256 of an access token that is accepted beside the user's own, from now on. */
  readonly tokenDigest?: string
}

/** A user that an import is about to write. */
interface SoughtUser {
  readonly ref: Exclude<WriteRef, { readonly id: string }>
  /** The SHA-256 of an access token that is to be accepted as well. */
  readonly tokenDigest?: string
  readonly id?: string
}

export interface FoundUser {
  /** The user with the access token. */
  readonly user?: User
  /** The row of that user cannot be read. */
  readonly isDamaged?: true
  /** The id, where a user has it: this one or another, or one who was purged. */
  readonly idOwner?: string
  /** The user who has the digest: this one or another. */
  readonly digestOwner?: string
}

export type UsersWritten =
  | { readonly kind: 'written'; readonly users: readonly User[] }
  /** Nothing was changed; `index` names the wrong write. */
  | { readonly kind: 'unknown'; readonly index: number }
  | { readonly kind: 'stale'; readonly index: number }
  | { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] }

/** What became of a batch of a bulk run; but for `written` nothing was changed. */
export type BatchDone =
  | { readonly kind: 'written' }
  /** Another call has gone on with the run. */
  | { readonly kind: 'overtaken' }
  /** A user is not as it was read: read the batch again. */
  | { readonly kind: 'stale' }
  /** `index` names the user for whom it is wrong. */
  | { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] }

export interface Rotation {
  readonly id: string
  readonly expectedRevision: number
}

/** What a record of an import has done to its user. */
export type ImportEffect = 'created' | 'changed' | 'unchanged'

export type UsersImported =
  /** In the order of the writes. */
  | { readonly kind: 'imported'; readonly effects: readonly ImportEffect[] }
  | Exclude<UsersWritten, { readonly kind: 'written' }>

/** The users as JSON in the form of the admin API, with commas between them; UTF-8. */
export type UserTextsWritten =
  | { readonly kind: 'written'; readonly text: Uint8Array; readonly count: number }
  | Exclude<UsersWritten, { readonly kind: 'written' }>

/** Makes a POST safe to retry: the same key with the same request gets the same answer. */
export interface IdempotencyKey {
  /** The admin key's id and the header's value, joined. */
  readonly key: string
  /** A digest of the request. */
  readonly fingerprint: string
}

export type UserCreated =
  | { readonly kind: 'created'; readonly user: User; readonly repeated: boolean }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }

/** Units to add to a family's limit until its period ends; a negative number takes back what was added. */
export interface QuotaAddition {
  readonly family: string
  readonly units: number
}

export type QuotaAdded =
  | { readonly kind: 'added'; readonly user: User; readonly repeated: boolean }
  | { readonly kind: 'unknown' }
  /** The family has no limit for this user; some types of users have no limits at all. */
  | { readonly kind: 'unlimited'; readonly type: UserType }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }

export type TokenRotated =
  | { readonly kind: 'rotated'; readonly user: User; readonly repeated: boolean }
  | { readonly kind: 'unknown' }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }

export type TokenRevealed = { readonly kind: 'revealed'; readonly user: User } | { readonly kind: 'unknown' }

/** How long an access token is accepted, whatever else blocks its user; `until` in epoch milliseconds. */
export type TokenState =
  | { readonly kind: 'present' }
  | { readonly kind: 'old'; readonly until: number }
  | { readonly kind: 'unknown' }

/** What became of users who were to be purged. */
export type UsersPurged =
  | { readonly kind: 'purged'; readonly users: readonly PurgedUser[] }
  /** Nothing was changed; `index` names the user. `running`: requests of the user are. */
  | { readonly kind: 'unknown' | 'running'; readonly index: number }

export interface PurgedUser {
  readonly id: string
  /** Of the first time, where it was asked for again. */
  readonly purgedAt: number
}

export interface UserStore {
  readonly findUser: (ref: UserRef, now: number) => Promise<User | undefined>
  /** What blocks these users, of whom there may be thousands; deleted users are left out. */
  readonly findBlocks: (ids: readonly string[]) => Promise<readonly UserBlock[]>
  /** For each access token its user, and whether the id beside it is taken; a few hundred at once. */
  readonly findUsers: (sought: readonly SoughtUser[], now: number) => Promise<readonly FoundUser[]>
  /** The SHA-256 of the access tokens that are accepted beside those of these users, by their ids. */
  readonly findDigests: (ids: readonly string[]) => Promise<ReadonlyMap<string, string>>
  /** A page in keyset order; without `sort` in the order of creation. */
  readonly listUsers: (request: UserPageRequest) => Promise<UserPage>
  /** The same page as text, made where the rows are read. */
  readonly listUserTexts: (request: UserTextRequest) => Promise<UserTexts>
  readonly countUsers: (filter: UserFilter, now: number) => Promise<number>
  /** Creates a user with a fresh access token. A retry answers the user that the first request created. */
  readonly insertUser: (edit: UserEdit, by: By, idempotencyKey?: IdempotencyKey) => Promise<UserCreated>
  /** Creates or merges all of them in order, in one transaction; if one write is wrong, nothing is changed. */
  readonly writeUsers: (writes: readonly UserWrite[], by: By) => Promise<UsersWritten>
  /** A batch of a bulk run that edits users; what it adds to the run is noted in the same transaction, as below. */
  readonly editBatch: (writes: readonly UserWrite[], by: By, step: BulkStep) => Promise<BatchDone>
  /** A batch that gives users other access tokens, as `rotateToken` does. */
  readonly rotateBatch: (
    rotations: readonly Rotation[],
    previousUntil: number | undefined,
    by: By,
    step: BulkStep,
  ) => Promise<BatchDone>
  /** A batch that removes users for good, as `purgeUsers` does. */
  readonly purgeBatch: (ids: readonly string[], by: By, step: BulkStep) => Promise<BatchDone>
  /**
   * The same for a part of an import: a user whom a write leaves as stored is not written, and the answer holds no more
   * than what became of each.
   */
  readonly importUsers: (writes: readonly UserWrite[], by: By) => Promise<UsersImported>
  /**
   * The same as `writeUsers`, answered as text that is made where the rows are written.
   * @param isMasked whether access tokens are masked
   */
  readonly writeUserTexts: (
    writes: readonly UserWrite[],
    by: By,
    isMasked: boolean,
  ) => Promise<UserTextsWritten>
  /**
   * Disables a user whose other columns may be damaged. The first `disabledAt` stays, and the reason changes only
   * where one is given. Undefined where the user does not exist.
   */
  readonly disableUser: (
    ref: UserRef,
    reason: string | undefined,
    by: By,
  ) => Promise<User | UnreadableUser | undefined>
  /** Adds to what a user may use in this period. A retry adds nothing, and gets the first answer. */
  readonly addToQuota: (
    ref: UserRef,
    addition: QuotaAddition,
    by: By,
    idempotencyKey?: IdempotencyKey,
  ) => Promise<QuotaAdded>
  /**
   * Resets to zero the next `limit` users after `after`, in the order of their ids, that have used anything; in one
   * transaction. To reset all users, call it again with `next` until that is absent; a pause between calls is fine.
   */
  readonly resetUsage: (request: UsageReset, by: By) => Promise<UsageWasReset>
  /**
   * Gives a user another access token. The present one is accepted until `previousUntil` as well, or no longer; one that
   * was old before is not accepted any more. A retry rotates nothing, and gets the first answer.
   */
  readonly rotateToken: (
    ref: UserRef,
    previousUntil: number | undefined,
    by: By,
    idempotencyKey?: IdempotencyKey,
  ) => Promise<TokenRotated>
  /**
   * Removes users for good, with all that is personal; what is booked under their ids stays. Users who were purged before
   * are answered as then. What changes and entries say of them is removed by `purgeTraces` of upkeep.
   */
  readonly purgeUsers: (ids: readonly string[], by: By) => Promise<UsersPurged>
  /** The user with the access token, to show it; who asked is written down as a change. */
  readonly revealToken: (ref: UserRef, by: By) => Promise<TokenRevealed>
  /** The state of each of these access tokens, of which there may be thousands. */
  readonly findTokenStates: (accessTokens: readonly string[]) => Promise<readonly TokenState[]>
  /** Whether the access token belongs to a user: a cheap check before a large body is read. */
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
}

export interface UsageReset {
  readonly families: readonly string[] | 'all'
  readonly after?: string
  readonly limit: number
}

export interface UsageWasReset {
  readonly users: number
  /** The id at which the next call continues; absent when there are no more. */
  readonly next?: string
}
