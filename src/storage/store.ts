import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import type { AdmissionAsk, AdmissionOutcome } from '#core/admission-ask.ts'
import type { BookedRequest, RequestPage, RequestQuestion } from '#core/booked-request.ts'
import type { Clock } from '#core/clock.ts'
import type { Issue } from '#core/errors.ts'
import type { InputCorrection } from '#core/input-correction.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import type { UsageQuestion, UsageRow } from '#core/usage-question.ts'
import type { UnreadableUser, User, UserBlock, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { UserFilter, UserPage, UserPageRequest } from '#core/user-list.ts'
import type { UserRef } from '#core/user-ref.ts'

/**
 * What the rest of the program knows of storage. Everything here is plain data: rows, SQL and the name of the
 * database stay behind it. Methods reject only when the store itself fails (`StoreUnavailable`) or holds what
 * cannot be read (`StoreFault`); what a caller did wrong comes back as a value.
 */
export interface Store {
  readonly users: UserStore
  readonly adminKeys: AdminKeyStore
  readonly metering: MeteringStore & OpenedEntries
  readonly upkeep: UpkeepStore
  readonly corrections: CorrectionStore
  readonly usage: UsageStore
  readonly requests: RequestStore
  /**
   * Tells of users whom other processes have changed: their ids, or `all` if they are not known. Answers how
   * to stop. What this process changes itself it knows already.
   */
  readonly watchUsers: (onChanged: (ids: readonly string[] | 'all') => void) => () => void
  readonly signals: Signals
  /** A key that all who share this store have, and nothing else does. */
  readonly keyFor: (purpose: string) => string
  /** The time that all processes agree on who share this store, made of this machine's. */
  readonly agreeOnTime: (clock: Clock) => Clock
  /** What works less well than it should while everything is answered, in sentences for the operator. */
  readonly notes: () => readonly string[]
  /** Rejects where an admission could not be written now; asks by what admissions are written by, and writes nothing. */
  readonly check: () => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * What processes who share a store tell each other. Nothing of it is kept, nobody waits for it, and it may be lost; who
 * is alone tells nobody.
 */
export interface Signals {
  readonly tell: (topic: string, words: string) => void
  /** Answers how to stop. Nobody hears what was said here. */
  readonly hear: (topic: string, said: (words: string) => void) => () => void
}

/** The store did not answer, or refused to work; the cause is for the log, never for a caller. */
export class StoreUnavailable extends Error {
  /** The connection broke before the answer came: what was asked for may have been done. */
  readonly mayHaveHappened: boolean

  constructor(cause: unknown, more: { readonly mayHaveHappened?: boolean } = {}) {
    super('The store cannot be reached.', { cause })
    this.name = 'StoreUnavailable'
    this.mayHaveHappened = more.mayHaveHappened ?? false
  }
}

/**
 * The store works, but what was asked for cannot be read or written: a damaged row, a value that no column takes.
 * Asking again does not help, and nothing was changed. The cause is for the log.
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
  /** Refuse unless the user stands at this revision (`If-Match`); 'any' wants it only to exist. */
  readonly expectedRevision?: number | 'any'
}

export type UsersWritten =
  | { readonly kind: 'written'; readonly users: readonly User[] }
  /** Nothing was changed; `index` names the write that was wrong. */
  | { readonly kind: 'unknown'; readonly index: number }
  | { readonly kind: 'stale'; readonly index: number }
  | { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] }

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

/** Units to add to a family's limit until its period ends; less than nothing takes back what was added. */
export interface QuotaAddition {
  readonly family: string
  readonly units: number
}

export type QuotaAdded =
  | { readonly kind: 'added'; readonly user: User; readonly repeated: boolean }
  | { readonly kind: 'unknown' }
  /** The family has no limit for this user, who may be of a type that has none at all. */
  | { readonly kind: 'unlimited'; readonly type: UserType }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }

export interface UserStore {
  readonly findUser: (ref: UserRef, now: number) => Promise<User | undefined>
  /** What blocks those users, of whom there may be thousands; those who are gone are left out. */
  readonly findBlocks: (ids: readonly string[]) => Promise<readonly UserBlock[]>
  /** A page in keyset order; without `sort` in the order of creation. */
  readonly listUsers: (request: UserPageRequest) => Promise<UserPage>
  readonly countUsers: (filter: UserFilter, now: number) => Promise<number>
  /** Creates a user with a fresh access token. A retry answers the user that the first request created. */
  readonly insertUser: (edit: UserEdit, now: number, idempotencyKey?: IdempotencyKey) => Promise<UserCreated>
  /** Creates or merges all of them in order, in one transaction; one that is wrong changes nothing. */
  readonly writeUsers: (writes: readonly UserWrite[], now: number) => Promise<UsersWritten>
  /**
   * Disables, keeping the first `disabledAt`, whatever else the row holds; undefined where there is no such user. The
   * reason changes only where one is given.
   */
  readonly disableUser: (
    ref: UserRef,
    reason: string | undefined,
    now: number,
  ) => Promise<User | UnreadableUser | undefined>
  /** Adds to what a user may use in this period. A retry adds nothing, and gets the first answer. */
  readonly addToQuota: (
    ref: UserRef,
    addition: QuotaAddition,
    now: number,
    idempotencyKey?: IdempotencyKey,
  ) => Promise<QuotaAdded>
  /**
   * Counts from zero, all at once, the next `limit` users after `after` in the order of their ids who have used
   * anything. Whoever resets everybody goes on with `next` until it is absent, and may do so after a break.
   */
  readonly resetUsage: (request: UsageReset, now: number) => Promise<UsageWasReset>
  /** Whether an access token is known at all: the cheap question before a large body is read. */
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
}

export interface UsageReset {
  readonly families: readonly string[] | 'all'
  readonly after?: string
  readonly limit: number
}

export interface UsageWasReset {
  readonly users: number
  /** The last id that was looked at; absent when there are no more. */
  readonly next?: string
}

// ---------------------------------------------------------------- admin keys

export interface AdminKeyStore {
  /** The key whose secret this is; compared by its hash, in constant time. */
  readonly findAdminKey: (secret: string, now: number) => Promise<AdminKey | undefined>
  readonly countAdminKeys: () => Promise<number>
  readonly insertAdminKey: (key: NewAdminKey, now: number) => Promise<AdminKey>
  /** All of them, oldest first; their secrets are nowhere. */
  readonly listAdminKeys: () => Promise<readonly AdminKey[]>
  /** Takes a key away, but not the last one that administers, unless there is another way in (`mayBeLast`). */
  readonly deleteAdminKey: (
    id: string,
    now: number,
    options?: { readonly mayBeLast: boolean },
  ) => Promise<AdminKeyDeletion>
}

/** `last`: without it nobody could administer; `configured`: it is in the configuration, and only there it ends. */
type AdminKeyDeletion = 'deleted' | 'unknown' | 'last' | 'configured'

// ---------------------------------------------------------------- metering

export interface MeteringBatch {
  readonly now: number
  /** Applied first, so that what they free is there for the asks. */
  readonly settlements: readonly Settlement[]
  readonly events?: readonly UsageEvent[]
  readonly asks: readonly AdmissionAsk[]
}

export interface MeteringAnswer {
  readonly settlements: readonly SettlementOutcome[]
  readonly events: readonly UsageEventOutcome[]
  readonly asks: readonly AdmissionOutcome[]
  /**
   * What is answered survives this process; when this resolves, the admissions are on the disk and survive the
   * power as well. Nobody may be sent a byte that the account could forget, so an answer begins only then.
   */
  readonly durable: Promise<void>
}

/** Told of an entry that cannot be read or written. */
export type OnFault = (requestId: string, error: unknown) => void

export interface MeteringStore {
  /** How many batches may run at the same time; 1 where nothing is said. */
  readonly lanes?: number
  /** Whether what was booked may be lost while this process lives on, as by a standby that takes over. */
  readonly mayLoseBooked?: boolean
  /** All of a batch in one transaction; the answers stand in the order of the questions. */
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  /** Says that this process lives; who has not said so for `silentMs` is taken for dead. */
  readonly beat: (now: number) => Promise<void>
  /**
   * Closes what nobody will settle: the open entries of processes that were silent for so long, and those whose
   * lease has ended. Answers how many there were. Never this process' own. One that cannot be closed is left as it
   * is, and told of.
   */
  readonly abandonEntries: (now: number, silentMs: number, onFault?: OnFault) => Promise<number>
  /** Prolongs the lease of an open entry. */
  readonly renewLease: (requestId: string, leaseUntil: number) => Promise<'renewed' | 'closed' | 'unknown'>
}

/** What a process asks to find out whether the database has lost something of its own. */
export interface OpenedEntries {
  /** The open entries that this process has opened, but those that are held by a lease. */
  readonly openEntries: () => Promise<readonly string[]>
  /**
   * Names the history that the database is in: another one after a standby has taken over, which may have lost the
   * latest transactions. Undefined where there is only one.
   */
  readonly history: () => Promise<string | undefined>
}

// ---------------------------------------------------------------- upkeep

/**
 * What has to be done now and then, each in one small batch of at most `limit` rows; answers how many it was, so
 * that the caller goes on while there is more, and lets others have their turn between.
 */
export interface UpkeepStore {
  /** Gathers usage by the minute that is older than `before`, a whole hour, into hours; whole hours of a user at a time. */
  readonly gatherUsage: (before: number, limit: number) => Promise<number>
  /** Adds requests that came in before to the lists by user. */
  readonly gatherRequests: (before: number, limit: number) => Promise<number>
  /** Removes minutes of the totals that are older. */
  readonly purgeMinutes: (before: number, limit: number) => Promise<number>
  /** Removes closed entries that began before; adjustments stay, since no total holds them. */
  readonly purgeEntries: (before: number, limit: number) => Promise<number>
  /** Forgets which usage events were counted before. */
  readonly purgeEvents: (before: number, limit: number) => Promise<number>
  /** Removes temporary users who expired before; their usage stays in the totals. */
  readonly purgeUsers: (expiredBefore: number, limit: number) => Promise<number>
  /** Removes addresses that their user's window has left behind. */
  readonly purgeAddresses: (now: number, limit: number) => Promise<number>
  /** Removes corrections of models that were not used since, and those of all but the models that are used most. */
  readonly purgeCorrections: (before: number, limit: number) => Promise<number>
}

// ---------------------------------------------------------------- corrections of estimates

export interface CorrectionStore {
  /** Those that were written since; epoch milliseconds. */
  readonly readCorrections: (since: number) => Promise<readonly InputCorrection[]>
  readonly writeCorrections: (corrections: readonly InputCorrection[], now: number) => Promise<void>
}

// ---------------------------------------------------------------- usage

export interface UsageStore {
  /** In the order of time; from roll-ups, never from entries. */
  readonly readUsage: (question: UsageQuestion) => Promise<readonly UsageRow[]>
}

// ---------------------------------------------------------------- requests

export interface RequestStore {
  readonly findRequest: (id: string) => Promise<BookedRequest | undefined>
  /** Newest first. */
  readonly listRequests: (question: RequestQuestion) => Promise<RequestPage>
}
