/**
 * The second factor of an admin key: codes of an authenticator app (RFC 6238), and codes for when the app is lost. A key
 * with one opens sessions only, since a code cannot be asked for at every request.
 */
export interface SecondFactor {
  /** What the app was given, in base 32. */
  readonly secret: string
  /** A code has shown that the app has it. */
  readonly isConfirmed: boolean
}

/** What came of the wish to try a code. */
export type CodeAttempt =
  | { readonly kind: 'may'; readonly factor: SecondFactor }
  /** Too many wrong codes came. */
  | { readonly kind: 'locked'; readonly waitMs: number }
  | { readonly kind: 'unknown' }

const freeAttempts = 5
const lockMs = 300_000

/**
 * Until when no further code is looked at, with this attempt the `attempts`th since the last right code; epoch
 * milliseconds. Attempts are counted before their code is looked at, so that those that come at once are counted too. Four
 * wrong codes are free, then each costs five minutes: of a million codes three are right at a time, so that a year of
 * guessing finds one in three times. It takes the key itself to guess at all.
 */
export function lockedUntil(attempts: number, now: number): number {
  return attempts < freeAttempts ? 0 : now + lockMs
}

/** How long no code is looked at. A lock that ends later than a lock can was made by a clock that was ahead. */
export function lockLeft(until: number, now: number): number {
  return until > now + lockMs ? 0 : Math.max(0, until - now)
}

/** The time step of codes at an instant (RFC 6238, section 4). */
export function timeStepAt(now: number): number {
  return Math.floor(now / 30_000)
}
