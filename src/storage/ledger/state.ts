import type { UserState } from '#core/admission.ts'
import { placeOf } from '#core/network.ts'
import type { Quotas } from '#storage/quotas/account.ts'

/** What a batch works with: the users, quotas and entries that an engine has loaded and locked. */
export interface LoadedUser extends UserState {
  /** By what the engine finds the user's row: the id, or a number that leads there without an index. */
  readonly rowKey: string | number
  /** By family; the quota of a family that was never used is added with the first ask for it. */
  readonly quotas: Quotas
  readonly places: Places
  readonly nickname?: string
  /** The version of its settings as a front end; absent for other users. */
  readonly frontEnd?: string
  disabledAt?: number
  disabledReason?: string
  openRequests: number
  arrivalAt?: number
  lastUsedAt: number | null
  promptCount: number
  isChanged: boolean
  /** The batch itself disabled the user. */
  isBlocked: boolean
}

/** The places a user came from; read when first needed, and extended by the admissions of the batch. */
export type Places = (since: number) => Set<string>

export interface SeenAddress {
  readonly address: string
  readonly lastSeenAt: number
}

export function createPlaces(seen: () => readonly SeenAddress[]): Places {
  let places: Set<string> | undefined
  // A batch happens at one instant, so all its questions are about one window.
  return (since) => {
    places ??= new Set(seen().flatMap((one) => (one.lastSeenAt >= since ? [placeOf(one.address)] : [])))
    return places
  }
}

/** An entry that may still be settled: it is open, or it was abandoned and can be corrected by a late settlement. */
export interface OpenEntry {
  readonly id: string
  readonly userId: string
  /** The front end that the person asked through: the entry is in its account as well. */
  readonly frontEndId?: string
  readonly family: string
  readonly model: string
  readonly isMetered: boolean
  readonly hold: number
  readonly inputEstimate: number
  readonly startedAt: number
  /** For an abandoned entry: what it was charged then, and when. */
  readonly charged?: { readonly units: number; readonly endedAt: number }
}

/** What a batch reads; the same question gets the same object throughout the batch. */
export interface LoadedState {
  /** The user with this access token. */
  readonly userOf: (accessToken: string) => LoadedUser | undefined
  /** Until when an access token from before a rotation is accepted; undefined for the present one of a user. */
  readonly oldUntilOf: (accessToken: string) => number | undefined
  readonly userById: (id: string) => LoadedUser | undefined
  /** The entry where it is open or was abandoned; `closed` where it was settled before. */
  readonly entryOf: (requestId: string) => OpenEntry | 'closed' | undefined
  /** Whether an event was counted before. */
  readonly hasEvent: (eventId: string) => boolean
}
