import type { LoadedUser, SeenAddress } from '#storage/ledger/batch.ts'

/** A user as a batch left it, and what leads to its row without a look at the index over ids. */
export interface CachedUser {
  readonly user: LoadedUser
  readonly lookup: string
  readonly rowId: number
}

/**
 * Users with a request open, as the last batch wrote them: the request ends soon, and what its end changes was read
 * when it began. Among a million users each of those reads is of pages that nobody else needs. Whoever holds them
 * forgets them all as soon as another connection has written anything, and when what was to be written was not.
 */
export interface CachedUsers {
  readonly byId: (id: string) => CachedUser | undefined
  readonly byLookup: (lookup: string) => CachedUser | undefined
  /** Holds a user who has a request open, and lets go of one who has none. */
  readonly keep: (held: CachedUser) => void
  /** Addresses of a user whose number of places is limited, read once for as long as nothing of them changes. */
  readonly addressesOf: (id: string, read: () => readonly SeenAddress[]) => readonly SeenAddress[]
  readonly forgetAddressesOf: (id: string) => void
  readonly forget: () => void
}

/** Users whose addresses are remembered; each has a few. */
const rememberedMax = 10_000

export function createCachedUsers(): CachedUsers {
  const byId = new Map<string, CachedUser>()
  const byLookup = new Map<string, CachedUser>()
  const addresses = new Map<string, readonly SeenAddress[]>()
  return {
    byId: (id) => byId.get(id),
    byLookup: (lookup) => byLookup.get(lookup),
    keep(held) {
      if (held.user.openRequests > 0) {
        byId.set(held.user.id, held)
        byLookup.set(held.lookup, held)
      } else {
        byId.delete(held.user.id)
        byLookup.delete(held.lookup)
      }
    },
    addressesOf(id, read) {
      const known = addresses.get(id)
      if (known) return known
      if (addresses.size >= rememberedMax) addresses.clear()
      const seen = read()
      addresses.set(id, seen)
      return seen
    },
    forgetAddressesOf: (id) => void addresses.delete(id),
    forget() {
      addresses.clear()
      byId.clear()
      byLookup.clear()
    },
  }
}
