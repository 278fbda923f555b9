import type { AdminKey } from './admin-key.ts'
import type { Person, SignOnBounds } from './sign-on.ts'

/**
 * A login of a browser with an admin key. It is as good as the secret that opened it: it allows what the key allows, and
 * ends when that secret is no longer accepted, because the key was deleted, has expired or got another secret. Where the key
 * has a second factor, it also takes that a code was given since. One that a provider's sign-on opened allows what the
 * person's groups allow.
 */
export interface Session {
  readonly id: string
  readonly keyId: string
  readonly createdAt: number
  /** It ends at the earlier of the two: whatever happens, and unless it is used before. Epoch milliseconds. */
  readonly expiresAt: number
  readonly idleUntil: number
  /** Where the login came from. */
  readonly address: string
  /** Whose sign-on opened it; absent: an admin key did. */
  readonly person?: Person
}

export interface NewSession {
  /** What the browser presents; only a keyed hash of it is stored. */
  readonly secret: string
  readonly keyId: string
  /** The secret of the key, or the person that the provider has named. */
  readonly openedBy: string | Person
  readonly expiresAt: number
  readonly idleUntil: number
  readonly address: string
  /** A code of the key's second factor was given. */
  readonly isCoded: boolean
}

/** A session whose opener is still accepted, and the key as it is now; for a person one with the scopes of its groups. */
export interface LiveSession {
  readonly session: Session
  readonly key: AdminKey
}

/** The admin key of the configuration, which is in no table. */
export interface ConfiguredKey {
  readonly key: AdminKey
  readonly secret: string
}

/** What opens sessions without a row of its own: settings. */
export interface ConfiguredOpeners {
  readonly key?: ConfiguredKey | undefined
  readonly signOn?: SignOnBounds | undefined
}

/** The longest pause within a session, and the longest session. */
export interface SessionTimes {
  readonly idleMs: number
  readonly longestMs: number
}

const minuteMs = 60_000
export const sessionTimesDefault: SessionTimes = { idleMs: 30 * minuteMs, longestMs: 12 * 60 * minuteMs }

/** Whether a session that was used should be prolonged: a write for each request would be one too many. */
export function isRenewalDue(
  { idleUntil, expiresAt }: Session,
  { idleMs }: SessionTimes,
  now: number,
): boolean {
  return idleUntil < expiresAt && idleUntil - now < idleMs - Math.min(minuteMs, idleMs / 10)
}
