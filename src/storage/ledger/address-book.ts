import type { Seen } from './changes.ts'

/** A known address is written again at most this often; in between it is only remembered here. */
const againMs = 60_000
const remembered = 50_000

/** Decides which addresses have to be written: those new to a user, and those not written for a while. */
export interface AddressBook {
  /**
   * `new` where the address is not remembered, `again` where its last write is too old; undefined where no write is
   * needed. Remembers it as written now.
   */
  readonly due: (seen: Seen, now: number) => 'new' | 'again' | undefined
  /** Call it when addresses were written elsewhere, and when a due address was not written after all. */
  readonly forget: () => void
}

export function createAddressBook(): AddressBook {
  const writtenAt = new Map<string, number>()
  return {
    due({ userId, address, isNewPlace }, now) {
      const key = `${userId} ${address}`
      const at = isNewPlace ? undefined : writtenAt.get(key)
      if (at !== undefined && isRecent(at, now)) return undefined
      if (writtenAt.size >= remembered) writtenAt.clear()
      writtenAt.set(key, now)
      return at === undefined ? 'new' : 'again'
    },
    forget: () => writtenAt.clear(),
  }
}

/** Whether an address that was written at `at` is still fresh. */
export function isRecent(at: number, now: number): boolean {
  return now - at < againMs && at <= now
}
