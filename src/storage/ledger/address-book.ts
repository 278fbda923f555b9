import type { Seen } from './batch.ts'

/** An address is written again at most this often; between, only the memory knows that it was seen. */
const againMs = 60_000
const remembered = 50_000

/** Which addresses have to be written: those that are new to a user, and those not written for a while. */
export interface AddressBook {
  /** `new` where nothing is known of it; undefined where it need not be written. Notes that it is written now. */
  readonly due: (seen: Seen, now: number) => 'new' | 'again' | undefined
  /** To be called when addresses were written elsewhere, and when what was due was not written after all. */
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

/** Whether an address that was written at `at` need not be written again yet. */
export function isRecent(at: number, now: number): boolean {
  return now - at < againMs && at <= now
}
