import type { LoadedUser, SeenAddress } from '#storage/ledger/state.ts'

/** A user as a batch left it, with its look-up key. */
export interface CachedUser {
  readonly user: LoadedUser
  readonly lookup: string
}

/**
 * A cache of users with a running request, as the last batch wrote them: the request will end soon, and its
 * settlement needs the same rows. Among a million users each of those reads would touch pages that no other request
 * uses. The ledger clears the cache as soon as another connection has written anything, and when a batch fails.
 */
export interface CachedUsers {
  readonly byId: (id: string) => CachedUser | undefined
  readonly byLookup: (lookup: string) => CachedUser | undefined
  /** Caches a user with a running request, and drops a user without one. */
  readonly keep: (cached: CachedUser) => void
  /** Addresses of a user whose number of places is limited; read once and cached until they change. */
  readonly addressesOf: (id: string, read: () => readonly SeenAddress[]) => readonly SeenAddress[]
  readonly forgetAddressesOf: (id: string) => void
  readonly forget: () => void
}

/** Users whose addresses are cached; each has a few. */
const rememberedMax = 10_000

export function createCachedUsers(): CachedUsers {
  const byId = new Map<string, CachedUser>()
  const byLookup = new Map<string, CachedUser>()
  const addresses = new Map<string, readonly SeenAddress[]>()
  return {
    byId: (id) => byId.get(id),
    byLookup: (lookup) => byLookup.get(lookup),
    keep(cached) {
      if (cached.user.openRequests > 0) {
        byId.set(cached.user.id, cached)
        byLookup.set(cached.lookup, cached)
      } else {
        byId.delete(cached.user.id)
        byLookup.delete(cached.lookup)
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
