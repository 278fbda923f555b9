/**
 * Remembers what is worked out of a secret by a keyed hash, for secrets that are used again and again: a hash takes two
 * microseconds, and each request would need two. Only secrets that turned out to be right are to be kept, so that
 * guesses cannot fill it. They stay in memory, up to a bound, and are written nowhere.
 */
export interface SecretMemo<T> {
  /** What is remembered, else worked out now. */
  readonly of: (secret: string) => T
  readonly keep: (secret: string, value: T) => void
}

const keptMax = 4096

export function createSecretMemo<T>(workOut: (secret: string) => T): SecretMemo<T> {
  const kept = new Map<string, T>()
  return {
    of: (secret) => kept.get(secret) ?? workOut(secret),
    keep(secret, value) {
      if (kept.has(secret)) return
      // All at once, which is rare: to forget one for each that comes would cost more than to work it out.
      if (kept.size >= keptMax) kept.clear()
      kept.set(secret, value)
    },
  }
}
