import type { AdmissionRequest, Decision } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import type { Usage } from '#core/usage.ts'
import type { User, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'

/**
 * What the rest of the program knows of storage. Everything here is plain data: rows, SQL and the name of the
 * database stay behind it. Methods reject only when the store itself fails (`StoreUnavailable`); what a caller
 * did wrong comes back as a value.
 */
export interface Store {
  readonly users: UserStore
  readonly adminKeys: AdminKeyStore
  readonly metering: MeteringStore
  /** Whether the store answers; for readiness. */
  readonly ping: () => Promise<boolean>
  readonly close: () => Promise<void>
}

/** The store did not answer, or refused to work; the cause is for the log, never for a caller. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('The store cannot be reached.', { cause })
    this.name = 'StoreUnavailable'
  }
}

// ---------------------------------------------------------------- users

/** How a caller names a user: by our id or by the access token itself. */
export type UserRef = { readonly id: string } | { readonly accessToken: string }

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
  /** Absent on the last page. */
  readonly next?: UserCursor
}

export interface UserWrite {
  readonly ref: UserRef
  readonly edit: UserEdit
  /** Refuse unless the user stands at this revision (`If-Match`); 'any' wants it only to exist. */
  readonly expectedRevision?: number | 'any'
}

export type UsersWritten =
  | { readonly kind: 'written'; readonly users: readonly User[] }
  /** Nothing was changed; `index` names the write that was wrong. */
  | { readonly kind: 'unknown'; readonly index: number }
  | { readonly kind: 'stale'; readonly index: number }
  | { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] }

/** Names a POST that may be repeated: the same key with the same request gets the same answer. */
export interface Repeat {
  /** Whose key it is and the key, joined. */
  readonly key: string
  /** Digest of the request that came with it. */
  readonly fingerprint: string
}

export type UserCreated =
  | { readonly kind: 'created'; readonly user: User; readonly repeated: boolean }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }

export interface UserStore {
  readonly findUser: (ref: UserRef, now: number) => Promise<User | undefined>
  /** A page in keyset order; without `sort` in the order of creation. */
  readonly listUsers: (request: UserPageRequest) => Promise<UserPage>
  readonly countUsers: (filter: UserFilter, now: number) => Promise<number>
  /** Creates a user with a fresh access token. A repeat answers the user of the first time, as created then. */
  readonly insertUser: (edit: UserEdit, now: number, repeat?: Repeat) => Promise<UserCreated>
  /** Creates or merges all of them in order, in one transaction; one that is wrong changes nothing. */
  readonly writeUsers: (writes: readonly UserWrite[], now: number) => Promise<UsersWritten>
  /** Disables, keeping the first `disabledAt`; undefined where there is no such user. */
  readonly disableUser: (ref: UserRef, reason: string | undefined, now: number) => Promise<User | undefined>
  /** Whether an access token is known at all: the cheap question before a large body is read. */
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
}

// ---------------------------------------------------------------- admin keys

export interface AdminKey {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly expiresAt?: number
  readonly scopes: readonly string[]
}

export interface AdminKeyStore {
  /** The key whose secret this is; compared by its hash, in constant time. */
  readonly findAdminKey: (secret: string, now: number) => Promise<AdminKey | undefined>
  readonly countAdminKeys: () => Promise<number>
  readonly insertAdminKey: (name: string, secret: string, now: number) => Promise<AdminKey>
}

// ---------------------------------------------------------------- metering

/** One question for admission, as a relay asks it. */
export interface AdmissionAsk extends AdmissionRequest {
  readonly requestId: string
  readonly accessToken: string
  /** Which of the gateway's operations it is, for the ledger; e.g. `/v1/messages`. */
  readonly route: string
  /** False for what is recorded but costs nothing (counting). */
  readonly isMetered: boolean
}

/** Who asked, where the access token was known. */
interface AskedBy {
  readonly id: string
  readonly type: UserType
}

export type AdmissionOutcome = Decision & { readonly user: AskedBy | undefined }

/** How a request ended; closes its entry. */
export interface Settlement {
  readonly requestId: string
  /** `released` charges nothing; `abandoned` charges what the process that died had estimated. */
  readonly ending: 'settled' | 'released' | 'abandoned'
  readonly usage: Usage
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** HTTP status that the client got; 0 where it was gone before one was sent. */
  readonly status: number
  readonly errorCode?: string
  readonly upstream?: string
  readonly durationMs: number
  readonly firstByteMs?: number
}

/** `closed` now, or `known` to have been closed before (a repeat), or never opened. */
export type SettlementOutcome = 'closed' | 'repeated' | 'unknown'

export interface MeteringBatch {
  readonly now: number
  /** Applied first, so that what they free is there for the asks. */
  readonly settlements: readonly Settlement[]
  readonly asks: readonly AdmissionAsk[]
}

export interface MeteringAnswer {
  readonly settlements: readonly SettlementOutcome[]
  readonly asks: readonly AdmissionOutcome[]
  /**
   * What is answered survives this process; when this resolves, the admissions are on the disk and survive the
   * power as well. Nobody may be sent a byte that the account could forget, so an answer begins only then.
   */
  readonly durable: Promise<void>
}

export interface MeteringStore {
  /** All of a batch in one transaction; the answers stand in the order of the questions. */
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  /** Closes the entries that dead processes left open; answers how many there were. */
  readonly abandonEntries: (now: number) => Promise<number>
}
