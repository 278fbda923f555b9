import type { Problem } from '#core/errors.ts'

/** A relay as far as others may touch it. */
interface Cuttable {
  readonly userId: string
  /** Ends it now, with this problem where the client can still be told; it settles as every end does. */
  readonly cut: (problem: Problem) => void
}

/** The relays that are open now, by user. */
export interface Relays {
  readonly add: (relay: Cuttable) => void
  readonly remove: (relay: Cuttable) => void
  readonly count: () => number
  /** Cuts those of one user; answers how many there were. */
  readonly cutUser: (userId: string, problem: Problem) => number
  readonly cutAll: (problem: Problem) => number
}

export function createRelays(): Relays {
  const byUser = new Map<string, Set<Cuttable>>()
  let count = 0
  function cutEach(relays: Iterable<Cuttable>, problem: Problem): number {
    const those = [...relays]
    for (const relay of those) relay.cut(problem)
    return those.length
  }
  return {
    add(relay) {
      const known = byUser.get(relay.userId)
      if (known) known.add(relay)
      else byUser.set(relay.userId, new Set([relay]))
      count += 1
    },
    remove(relay) {
      const known = byUser.get(relay.userId)
      if (!known?.delete(relay)) return
      count -= 1
      if (known.size === 0) byUser.delete(relay.userId)
    },
    count: () => count,
    cutUser: (userId, problem) => cutEach(byUser.get(userId) ?? [], problem),
    cutAll: (problem) =>
      cutEach(
        [...byUser.values()].flatMap((relays) => [...relays]),
        problem,
      ),
  }
}
