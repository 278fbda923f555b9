import type { AdmissionRequest, Decision } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import type { Issue } from '#core/errors.ts'
import type { InputKind } from '#core/input-kinds.ts'
import type { Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import type { User, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'

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
   * Tells of users whom other processes have changed: their ids, or `anybody` where that cannot be known. Answers how
   * to stop. What this process changes itself it knows already.
   */
  readonly watchUsers: (onChanged: (ids: readonly string[] | 'anybody') => void) => () => void
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

/** How a caller names a user: by our id or by the access token itself. */
export type UserRef = { readonly id: string } | { readonly accessToken: string }

/** What bars a user, now or at an instant to come. */
export type UserBar = Pick<User, 'id' | 'disabledAt' | 'disabledReason' | 'expiresAt'>

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
  /** Ids of users whose rows cannot be read, where there are any: they are left out, and keep no other from being read. */
  readonly unreadable?: readonly string[]
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
  /** What bars those users, of whom there may be thousands; those who are gone are left out. */
  readonly findBars: (ids: readonly string[]) => Promise<readonly UserBar[]>
  /** A page in keyset order; without `sort` in the order of creation. */
  readonly listUsers: (request: UserPageRequest) => Promise<UserPage>
  readonly countUsers: (filter: UserFilter, now: number) => Promise<number>
  /** Creates a user with a fresh access token. A repeat answers the user of the first time, as created then. */
  readonly insertUser: (edit: UserEdit, now: number, repeat?: Repeat) => Promise<UserCreated>
  /** Creates or merges all of them in order, in one transaction; one that is wrong changes nothing. */
  readonly writeUsers: (writes: readonly UserWrite[], now: number) => Promise<UsersWritten>
  /** Disables, keeping the first `disabledAt`; undefined where there is no such user. */
  readonly disableUser: (ref: UserRef, reason: string | undefined, now: number) => Promise<User | undefined>
  /** Adds to what a user may use in this period. A repeat adds nothing, and answers the user as of the first time. */
  readonly addToQuota: (
    ref: UserRef,
    addition: QuotaAddition,
    now: number,
    repeat?: Repeat,
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

/** What a key opens: `admin` the admin API, `verifier` the endpoints for other gateways. */
export type Scope = 'admin' | 'verifier'
export const scopes: readonly Scope[] = ['admin', 'verifier']

export interface AdminKey {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly expiresAt?: number
  readonly scopes: readonly Scope[]
  /** An operator chose it, and it is short enough to be guessed in the end. */
  readonly isGuessable?: boolean
}

export interface NewAdminKey {
  readonly name: string
  readonly secret: string
  readonly scopes: readonly Scope[]
  readonly expiresAt?: number
}

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

/** One question for admission, as a relay asks it. */
export interface AdmissionAsk extends AdmissionRequest {
  readonly requestId: string
  /** Who asks: the access token that was presented, or `userId` where the caller knows whose it was. */
  readonly accessToken?: string
  readonly userId?: string
  /** Which of the gateway's operations it is, for the ledger; e.g. `/v1/messages`. */
  readonly route: string
  /** False for what is recorded but costs nothing (counting). */
  readonly isMetered: boolean
  /**
   * The entry belongs to nobody's process but to this lease, epoch milliseconds: when it ends and nobody has
   * settled, the entry is abandoned.
   */
  readonly leaseUntil?: number
  /** Only asked: nothing is counted, reserved or noted, whatever the answer. */
  readonly isDry?: boolean
}

/** Who asked, where the access token was known. */
export interface AskedBy {
  readonly id: string
  readonly type: UserType
  readonly nickname: string | undefined
  readonly expiresAt: number | undefined
  /** When this user will be barred without anybody's doing: the expiry, or a `disabledAt` to come. */
  readonly barredFrom: number | undefined
}

export type AdmissionOutcome = Decision & { readonly user: AskedBy | undefined }

/** What was known of a request when it was admitted: enough to book it where its entry was lost. */
export interface Opened {
  readonly userId: string
  readonly route: string
  readonly family: string
  readonly model: string
  readonly isMetered: boolean
  readonly inputEstimate: number
  readonly startedAt: number
}

/** How a request ended; closes its entry. */
export interface Settlement {
  readonly requestId: string
  /** `released` charges nothing; `abandoned` charges what the process that died had estimated. */
  readonly ending: 'settled' | 'released' | 'abandoned'
  readonly usage: Usage
  /** What the provider states beside it and prices apart. */
  readonly extras?: UsageExtras
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** HTTP status that the client got; 0 where it was gone before one was sent. */
  readonly status: number
  readonly errorCode?: string
  readonly upstream?: string
  readonly durationMs: number
  readonly firstByteMs?: number
  /**
   * Whose entry it is, where this process opened it. A settlement that says so is booked also where its entry is gone:
   * the database has lost its latest transactions.
   */
  readonly opened?: Opened
}

/**
 * `closed` now, `corrected` where the entry had been abandoned and its estimate now gives way to what was really
 * used, `repeated` where it was closed before, `unknown` where it was never opened, as far as anything says so.
 */
export type SettlementOutcome = 'closed' | 'corrected' | 'repeated' | 'unknown'

/** What was used somewhere else and is only reported here; counted once for each `eventId`. */
export interface UsageEvent {
  /** Names it for ever: a digest over whose event it is and its id. */
  readonly eventId: string
  /** Names its entry in the ledger. */
  readonly requestId: string
  readonly userId?: string
  readonly accessToken?: string
  readonly route: string
  readonly family: string
  readonly model: string
  readonly usage: Usage
  readonly isEstimated: boolean
  readonly status: number
  readonly upstream?: string
  /** When it happened, where that was said; it counts in the period in which it is reported. */
  readonly happenedAt?: number
}

export type UsageEventOutcome = 'counted' | 'repeated' | 'unknown_user'

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

/** What one voice says of one kind of a model's input. */
export interface InputCorrection {
  readonly model: string
  readonly kind: InputKind
  readonly voice: number
  /** What the kind's estimate is multiplied by. */
  readonly factor: number
  /** About how many requests of the model were learned from, to know which models matter. */
  readonly requests: number
}

export interface CorrectionStore {
  /** Those that were written since; epoch milliseconds. */
  readonly readCorrections: (since: number) => Promise<readonly InputCorrection[]>
  readonly writeCorrections: (corrections: readonly InputCorrection[], now: number) => Promise<void>
}

// ---------------------------------------------------------------- usage

export type UsageDimension = 'user' | 'family' | 'model' | 'upstream' | 'status'
export const usageDimensions: readonly UsageDimension[] = ['user', 'family', 'model', 'upstream', 'status']

export type UsageBucket = 'minute' | 'hour' | 'day'
export const usageBuckets: readonly UsageBucket[] = ['minute', 'hour', 'day']

export interface UsageQuestion {
  readonly bucket: UsageBucket
  /** From the bucket that `from` lies in up to the one before `to`; epoch milliseconds. */
  readonly from: number
  readonly to: number
  readonly groupBy: readonly UsageDimension[]
  readonly userId?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  /** At most so many rows are answered; one more is asked for to know whether there were more. */
  readonly limit: number
}

/** One bucket of one group; a dimension that was not grouped by is absent. */
export interface UsageRow {
  /** The bucket's first instant; days begin where the configured time zone's do. */
  readonly at: number
  readonly userId?: string
  readonly family?: string
  readonly model?: string
  readonly upstream?: string
  readonly status?: number
  readonly requests: number
  /** Requests whose figures are ours, not the provider's. */
  readonly estimated: number
  readonly usage: Usage
}

export interface UsageStore {
  /** In the order of time; from roll-ups, never from entries. */
  readonly readUsage: (question: UsageQuestion) => Promise<readonly UsageRow[]>
}

// ---------------------------------------------------------------- requests

/** How an entry of the ledger stands; the three that are closed are said at `Settlement`. */
export type RequestState = 'open' | Settlement['ending']
export const requestStates: readonly RequestState[] = ['open', 'settled', 'released', 'abandoned']

/** One request as the ledger has it. What is not known (yet) is absent. */
export interface BookedRequest {
  readonly id: string
  readonly userId: string
  readonly startedAt: number
  readonly route: string
  readonly family: string
  readonly model: string
  readonly state: RequestState
  /** The figures are ours, not the provider's. */
  readonly isEstimated: boolean
  /** Units that it held of its quota. */
  readonly hold: number
  readonly usage: Usage
  /** What the provider states beside it and prices apart. */
  readonly extras?: UsageExtras
  /** What counts against the quota. */
  readonly units: number
  /** That the client got; 0 where it was gone before. */
  readonly status?: number
  readonly code?: string
  readonly upstream?: string
  readonly address?: string
  readonly endedAt?: number
  readonly durationMs?: number
  readonly firstByteMs?: number
}

export interface RequestFilter {
  readonly userId?: string
  /** When it came in: from this instant, and before that one; epoch milliseconds. */
  readonly from?: number
  readonly to?: number
  readonly state?: RequestState
  readonly status?: number
  readonly code?: string
  readonly family?: string
  readonly model?: string
  /** Empty for what was sent to none. */
  readonly upstream?: string
}

export interface RequestQuestion {
  readonly filter: RequestFilter
  /** `next` of the page before. */
  readonly after?: string
  readonly limit: number
}

export interface RequestPage {
  readonly requests: readonly BookedRequest[]
  /** Absent where there are no more. A page with a `next` may hold fewer than asked for, or none. */
  readonly next?: string
}

export interface RequestStore {
  readonly findRequest: (id: string) => Promise<BookedRequest | undefined>
  /** Newest first. */
  readonly listRequests: (question: RequestQuestion) => Promise<RequestPage>
}
