import type { AdminKey, NewAdminKey } from '#core/admin-key.ts'
import type { BookedRequest, RequestPage, RequestQuestion } from '#core/booked-request.ts'
import type { BulkRun, BulkStep, FieldUndo } from '#core/bulk-run.ts'
import type { By, ChainChecked, ChangePage, ChangeQuestion, NewChange } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import type { InputCorrection } from '#core/input-correction.ts'
import type { CodeAttempt } from '#core/second-factor.ts'
import type { ConfiguredOpeners, LiveSession, NewSession, Session } from '#core/session.ts'
import type { UsageQuestion, UsageRow } from '#core/usage-question.ts'
import type { ClaimStore } from '#storage/store/claims.ts'
import type { FrontEndStore } from '#storage/store/front-ends.ts'
import type { MeteringStore, OpenedEntries } from '#storage/store/metering.ts'
import type { UserStore } from '#storage/store/users.ts'

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
  readonly secondFactors: SecondFactorStore
  readonly claims: ClaimStore
  readonly frontEnds: FrontEndStore
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
  /** For administrators: the kind of database, and the version of the master key with which texts are sealed. */
  readonly about: { readonly database: string; readonly masterKey: string }
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
  /** Notes a batch that changes no user; false where another call has gone on with the run. */
  readonly saveStep: (step: BulkStep, by: By) => Promise<boolean>
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

/** Second factors of admin keys, by the key's id. */
export interface SecondFactorStore {
  /** Stores what an app was given; it replaces one that was not confirmed. */
  readonly beginSecondFactor: (
    keyId: string,
    given: { readonly secret: string; readonly recoveryCodes: readonly string[] },
    by: By,
  ) => Promise<'begun' | 'confirmed' | 'unknown'>
  /** Counts an attempt, before its code is looked at. */
  readonly takeAttempt: (keyId: string, now: number) => Promise<CodeAttempt>
  /**
   * From now on the key opens sessions only. Ends its sessions but `sessionId`. False where nothing was begun, or not with
   * this secret.
   */
  readonly confirmSecondFactor: (
    keyId: string,
    taken: { readonly secret: string; readonly step: number; readonly sessionId: string | undefined },
    by: By,
  ) => Promise<boolean>
  /** Takes the code of a time step; false where that step, or a later one, was taken before. */
  readonly takeStep: (keyId: string, step: number) => Promise<boolean>
  /** Takes a recovery code; false where it is wrong, or was taken before. */
  readonly takeRecoveryCode: (keyId: string, code: string, by: By) => Promise<boolean>
  /** Writes it down; attempts are few enough for that. */
  readonly noteWrongCode: (keyId: string, by: By) => Promise<void>
  /** Answers whether there was one. */
  readonly removeSecondFactor: (keyId: string, by: By) => Promise<boolean>
}

/** Logins of browsers. @param openers the admin key that no table has, and the provider of the sign-on */
export interface SessionStore {
  /** Also removes those that have ended, and the oldest of a key that has very many. */
  readonly insertSession: (session: NewSession, by: By) => Promise<Session>
  /** The session with this secret, unless it or the secret that opened it is no longer accepted. */
  readonly findSession: (
    secret: string,
    now: number,
    openers?: ConfiguredOpeners,
  ) => Promise<LiveSession | undefined>
  /** Oldest first. */
  readonly listSessions: (now: number, openers?: ConfiguredOpeners) => Promise<readonly LiveSession[]>
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
  /**
   * Removes what changes and entries say of purged users, a piece at a time; 0 where nothing is left.
   * @param userId of this user; undefined: of all
   */
  readonly purgeTraces: (userId: string | undefined, limit: number) => Promise<number>
  /** Removes older minutes of the totals. */
  readonly purgeMinutes: (before: number, limit: number) => Promise<number>
  /** Removes closed entries that began before; adjustments stay, since no total holds them. */
  readonly purgeEntries: (before: number, limit: number) => Promise<number>
  /** Forgets older usage events, by which duplicates are recognized. */
  readonly purgeEvents: (before: number, limit: number) => Promise<number>
  /** Removes temporary users who expired before; their usage stays in the totals. */
  readonly purgeUsers: (expiredBefore: number, limit: number, by: By) => Promise<number>
  /** Removes links that show an access token, whose time was over before. */
  readonly purgeClaims: (endedBefore: number, limit: number) => Promise<number>
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
