import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { BookedRequest, RequestPage, RequestQuestion } from '#core/booked-request.ts'
import type { BulkRun, BulkStep, FieldUndo } from '#core/bulk-run.ts'
import type { By, ChainChecked, ChangePage, ChangeQuestion, NewChange } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import type { Issue } from '#core/errors.ts'
import type { InputCorrection } from '#core/input-correction.ts'
import type { ConfiguredKey, LiveSession, NewSession, Session } from '#core/session.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import type { UsageQuestion, UsageRow } from '#core/usage-question.ts'
import type { UnreadableUser, User, UserBlock, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserFilter, UserPage, UserPageRequest, UserTextRequest, UserTexts } from '#core/user-list.ts'
import type { UserRef } from '#core/user-ref.ts'

/**
 * The interface of storage to the rest of the program. Everything here is plain data: rows, SQL and the kind of
 * database stay behind it. Methods reject only when the store itself fails (`StoreUnavailable`) or holds unreadable
 * data (`StoreFault`); a caller's mistake is returned as a value.
 */
export interface Store {
  readonly users: UserStore
  readonly bulk: BulkStore
  readonly adminKeys: AdminKeyStore
  readonly sessions: SessionStore
  readonly metering: MeteringStore &
    OpenedEntries & {
      /** Tells of the models that an upstream lists, which reports then show by name. */
      readonly listModels: (upstream: string, models: readonly string[]) => void
    }
  readonly upkeep: UpkeepStore
  readonly corrections: CorrectionStore
  readonly usage: UsageStore
  readonly requests: RequestStore
  readonly changes: ChangeStore
  /**
   * Tells soon after each change, by this process or another, that there may be changes to read; it may tell of nothing.
   * Answers how to stop.
   */
  readonly watchChanges: (onNews: () => void) => () => void
  readonly signals: Signals
  /** A key that only the processes of this store share. */
  readonly keyFor: (purpose: string) => string
  /** Corrects this machine's clock to the time that all processes of the store agree on. */
  readonly agreeOnTime: (clock: Clock) => Clock
  /** What works less well than it should while requests are answered, in sentences for the operator. */
  readonly notes: () => readonly string[]
  /**
   * Rejects where an admission could not be written now. It uses the same connections as admissions, and writes
   * nothing.
   */
  readonly check: () => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Messages between the processes of a store. They are not stored, sending does not wait, and they may be lost. A
 * single process sends them nowhere.
 */
export interface Signals {
  readonly tell: (topic: string, words: string) => void
  /** Receives what other processes sent on a topic. Returns a function that stops it. */
  readonly hear: (topic: string, said: (words: string) => void) => () => void
}

/** The store did not answer, or refused to work; the cause is for the log, never for a caller. */
export class StoreUnavailable extends Error {
  /** The connection broke before the answer came: the operation may have been done. */
  readonly mayHaveHappened: boolean

  constructor(cause: unknown, more: { readonly mayHaveHappened?: boolean } = {}) {
    super('The store cannot be reached.', { cause })
    this.name = 'StoreUnavailable'
    this.mayHaveHappened = more.mayHaveHappened ?? false
  }
}

/**
 * The store works, but this data cannot be read or written: a damaged row, a value that no column accepts. A retry
 * does not help, and nothing was changed. The cause is for the log.
 */
export class StoreFault extends Error {
  constructor(cause: unknown) {
    super('The store cannot read or write this.', { cause })
    this.name = 'StoreFault'
  }
}

// ---------------------------------------------------------------- users

export interface UserWrite {
  readonly ref: UserRef
  readonly edit: UserEdit
  /** Refuse unless the user has this revision (`If-Match`); 'any' requires only that the user exists. */
  readonly expectedRevision?: number | 'any'
  /** The id of the user if the write creates one; absent: a fresh one. No other user may have it. */
  readonly newId?: string
}

/** A user that an import is about to write. */
interface SoughtUser {
  readonly accessToken: string
  readonly id?: string
}

export interface FoundUser {
  /** The user with the access token. */
  readonly user?: User
  /** The row of that user cannot be read. */
  readonly isDamaged?: true
  /** The id, where a user has it: this one or another. */
  readonly idOwner?: string
}

export type UsersWritten =
  | { readonly kind: 'written'; readonly users: readonly User[] }
  /** Nothing was changed; `index` names the wrong write. */
  | { readonly kind: 'unknown'; readonly index: number }
  | { readonly kind: 'stale'; readonly index: number }
  | { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] }

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

/** How long an access token is accepted, whatever else blocks its user; `until` in epoch milliseconds. */
export type TokenState =
  | { readonly kind: 'present' }
  | { readonly kind: 'old'; readonly until: number }
  | { readonly kind: 'unknown' }

export interface UserStore {
  readonly findUser: (ref: UserRef, now: number) => Promise<User | undefined>
  /** What blocks these users, of whom there may be thousands; deleted users are left out. */
  readonly findBlocks: (ids: readonly string[]) => Promise<readonly UserBlock[]>
  /** For each access token its user, and whether the id beside it is taken; a few hundred at once. */
  readonly findUsers: (sought: readonly SoughtUser[], now: number) => Promise<readonly FoundUser[]>
  /** A page in keyset order; without `sort` in the order of creation. */
  readonly listUsers: (request: UserPageRequest) => Promise<UserPage>
  /** The same page as text, made where the rows are read. */
  readonly listUserTexts: (request: UserTextRequest) => Promise<UserTexts>
  readonly countUsers: (filter: UserFilter, now: number) => Promise<number>
  /** Creates a user with a fresh access token. A retry answers the user that the first request created. */
  readonly insertUser: (edit: UserEdit, by: By, idempotencyKey?: IdempotencyKey) => Promise<UserCreated>
  /**
   * Creates or merges all of them in order, in one transaction; if one write is wrong, nothing is changed. With `step` it
   * is a batch of a bulk run, which is noted in the same transaction.
   */
  readonly writeUsers: (writes: readonly UserWrite[], by: By, step?: BulkStep) => Promise<UsersWritten>
  /**
   * The same, answered as text that is made where the rows are written.
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

// ---------------------------------------------------------------- bulk runs

export interface BulkStore {
  /** Notes that a bulk action begins. */
  readonly insertRun: (
    run: Pick<BulkRun, 'action' | 'target' | 'actor' | 'matched'>,
    by: By,
  ) => Promise<BulkRun>
  readonly findRun: (id: string) => Promise<BulkRun | undefined>
  /** Newest first. */
  readonly listRuns: (limit: number) => Promise<readonly BulkRun[]>
  /** Notes a batch that changes no user. */
  readonly saveStep: (step: BulkStep, by: By) => Promise<void>
  /** Those of these users whom the run has changed already. */
  readonly findChanged: (runId: string, userIds: readonly string[]) => Promise<readonly string[]>
  /** Users whose changes can be undone yet, in the order of their ids. */
  readonly listUndo: (
    runId: string,
    limit: number,
  ) => Promise<readonly { readonly userId: string; readonly undo: readonly FieldUndo[] }[]>
}

// ---------------------------------------------------------------- admin keys

export interface AdminKeyStore {
  /** The key with this secret, found by its keyed hash and compared in constant time. */
  readonly findAdminKey: (secret: string, now: number) => Promise<AdminKey | undefined>
  readonly countAdminKeys: () => Promise<number>
  readonly insertAdminKey: (key: NewAdminKey, by: By) => Promise<AdminKey>
  /**
   * Gives a key another secret. The one before is accepted until `previousUntil`, and no longer where that is absent or
   * past.
   */
  readonly rotateAdminKey: (
    id: string,
    rotation: { readonly secret: string; readonly previousUntil?: number },
    by: By,
  ) => Promise<AdminKey | 'unknown' | 'configured'>
  /** Writes when keys were last used; earlier instants than the stored ones change nothing. */
  readonly noteAdminKeyUse: (uses: readonly { readonly id: string; readonly at: number }[]) => Promise<void>
  /** All of them, oldest first. Secrets are not stored. */
  readonly listAdminKeys: () => Promise<readonly AdminKey[]>
  /** Deletes a key. The last key with the admin scope stays, unless there is another way in (`mayBeLast`). */
  readonly deleteAdminKey: (
    id: string,
    by: By,
    options?: { readonly mayBeLast: boolean },
  ) => Promise<AdminKeyDeletion>
}

/**
 * `last`: it is the last key that can administer; `configured`: it comes from the configuration and can only be
 * removed there.
 */
type AdminKeyDeletion = 'deleted' | 'unknown' | 'last' | 'configured'

/** Logins of browsers. @param configured the admin key that no table has, whose sessions it opened */
export interface SessionStore {
  /** Also removes those that have ended, and the oldest of a key that has very many. */
  readonly insertSession: (session: NewSession, by: By) => Promise<Session>
  /** The session with this secret, unless it or the secret that opened it is no longer accepted. */
  readonly findSession: (
    secret: string,
    now: number,
    configured?: ConfiguredKey,
  ) => Promise<LiveSession | undefined>
  /** Oldest first. */
  readonly listSessions: (now: number, configured?: ConfiguredKey) => Promise<readonly LiveSession[]>
  /** Prolongs a session that was used. */
  readonly renewSession: (id: string, idleUntil: number) => Promise<void>
  /** Answers whether there was one. */
  readonly deleteSession: (id: string, by: By) => Promise<boolean>
}

// ---------------------------------------------------------------- changes

/** A place in the order of changes: the last one that was read. */
export interface ChangePlace {
  readonly seq: number
  /** Tells the change from another with its number, which a database that went back may have. */
  readonly hash: string
}

export interface SeenChange extends ChangePlace {
  readonly kind: string
  readonly object: string
}

type ChangesRead =
  | { readonly kind: 'read'; readonly changes: readonly SeenChange[]; readonly place: ChangePlace }
  /** That place is not there any more, so that changes may have been missed: upkeep, or a failover, took them away. */
  | { readonly kind: 'lost'; readonly place: ChangePlace }

export interface ChangeStore {
  /** The place of the newest change. */
  readonly lastChange: () => Promise<ChangePlace>
  /** The next changes after a place, in order. A change that becomes visible later stands later in the order. */
  readonly readChanges: (after: ChangePlace, limit: number) => Promise<ChangesRead>
  /** Newest first, without what upkeep has removed. */
  readonly listChanges: (question: ChangeQuestion) => Promise<ChangePage>
  /** Reads all of them, and compares each with its hash and with the one before. */
  readonly checkChain: () => Promise<ChainChecked>
  /** Writes down what changed nothing: a failed login, an export. */
  readonly noteChange: (change: NewChange) => Promise<void>
}

// ---------------------------------------------------------------- metering

export interface MeteringBatch {
  readonly now: number
  /** Applied first, so that the asks can use what they free. */
  readonly settlements: readonly Settlement[]
  readonly events?: readonly UsageEvent[]
  readonly asks: readonly AdmissionAsk[]
}

export interface MeteringAnswer {
  readonly settlements: readonly SettlementOutcome[]
  readonly events: readonly UsageEventOutcome[]
  readonly asks: readonly AdmissionOutcome[]
  /**
   * The decisions survive this process at once. When this resolves, the admissions are on disk and survive a power
   * loss. No byte may reach the client before that.
   */
  readonly durable: Promise<void>
}

/** Called with each entry that cannot be read or written. */
export type OnFault = (requestId: string, error: unknown) => void

export interface MeteringStore {
  /** How many batches may run at the same time; 1 by default. */
  readonly lanes?: number
  /** Whether a committed booking can be lost while this process lives on, for example by a failover to a standby. */
  readonly mayLoseBooked?: boolean
  /** Runs the whole batch in one transaction; the answers are in the order of the questions. */
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  /** The heartbeat of this process; a process without one for `silentMs` is taken for dead. */
  readonly beat: (now: number) => Promise<void>
  /**
   * Closes entries that no process will settle any more: those of processes whose heartbeat is older than `silentMs`,
   * and those with an expired lease. Never closes this process's own entries. An entry that cannot be closed stays as
   * it is and is reported to `onFault`. Answers how many were closed.
   */
  readonly abandonEntries: (now: number, silentMs: number, onFault?: OnFault) => Promise<number>
  /** Prolongs the lease of an open entry. */
  readonly renewLease: (requestId: string, leaseUntil: number) => Promise<'renewed' | 'closed' | 'unknown'>
}

/** How a process finds out whether the database has lost some of its entries. */
export interface OpenedEntries {
  /** The open entries of this process, without those held by a lease. */
  readonly openEntries: () => Promise<readonly string[]>
  /**
   * Identifies the database's history. It changes when a standby takes over, which may have lost the latest
   * transactions. Undefined where the database cannot fail over.
   */
  readonly history: () => Promise<string | undefined>
}

// ---------------------------------------------------------------- upkeep

/**
 * Periodic upkeep. Each call is one small batch of at most `limit` rows and answers how many rows it was. The caller
 * repeats it while there is more, and other work gets its turn in between.
 */
export interface UpkeepStore {
  /** Gathers minutes of usage older than `before`, a whole hour, into hours; always whole hours of a user. */
  readonly gatherUsage: (before: number, limit: number) => Promise<number>
  /** Adds requests that came in before to the lists by user. */
  readonly gatherRequests: (before: number, limit: number) => Promise<number>
  /** Removes older minutes of the totals. */
  readonly purgeMinutes: (before: number, limit: number) => Promise<number>
  /** Removes closed entries that began before; adjustments stay, since no total holds them. */
  readonly purgeEntries: (before: number, limit: number) => Promise<number>
  /** Forgets older usage events, by which duplicates are recognized. */
  readonly purgeEvents: (before: number, limit: number) => Promise<number>
  /** Removes temporary users who expired before; their usage stays in the totals. */
  readonly purgeUsers: (expiredBefore: number, limit: number, by: By) => Promise<number>
  /** Removes old access tokens that are not accepted any more. */
  readonly purgeTokens: (now: number, limit: number) => Promise<number>
  /** Removes addresses that have left their user's time window. */
  readonly purgeAddresses: (now: number, limit: number) => Promise<number>
  /** Removes changes that were written before, the oldest first. */
  readonly purgeChanges: (before: number, limit: number) => Promise<number>
  /** Removes corrections of models that were not used since then, and those of all but the most used models. */
  readonly purgeCorrections: (before: number, limit: number) => Promise<number>
}

// ---------------------------------------------------------------- corrections of estimates

export interface CorrectionStore {
  /** Those that were written since then; epoch milliseconds. */
  readonly readCorrections: (since: number) => Promise<readonly InputCorrection[]>
  readonly writeCorrections: (corrections: readonly InputCorrection[], now: number) => Promise<void>
}

// ---------------------------------------------------------------- usage and requests

export interface UsageStore {
  /** In the order of time; from roll-ups, never from entries. */
  readonly readUsage: (question: UsageQuestion) => Promise<readonly UsageRow[]>
}

export interface RequestStore {
  readonly findRequest: (id: string) => Promise<BookedRequest | undefined>
  /** Newest first. */
  readonly listRequests: (question: RequestQuestion) => Promise<RequestPage>
}
