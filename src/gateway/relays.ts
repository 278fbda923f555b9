import type { Problem } from '#core/errors.ts'
import { createRoster } from '#lib/roster.ts'

/** A relay as far as others may touch it. */
interface Cuttable {
  readonly userId: string
  /** Ends it now, with this problem where the client can still be told; it settles as every end does. */
  readonly cut: (problem: Problem) => void
}

/** The relays that are open now. */
export interface Relays {
  /** Call the answer when the relay has ended. */
  readonly add: (relay: Cuttable) => () => void
  readonly count: () => number
  /** Cuts those of one user; answers how many there were. */
  readonly cutUser: (userId: string, problem: Problem) => number
  readonly cutAll: (problem: Problem) => number
}

export function createRelays(): Relays {
  const roster = createRoster<Cuttable>()
  function cutEach(relays: readonly Cuttable[], problem: Problem): number {
    for (const relay of relays) relay.cut(problem)
    return relays.length
  }
  return {
    add: roster.add,
    count: roster.count,
    // Seldom asked, so it may look at all of them; a list by user would cost every relay.
    cutUser: (userId, problem) =>
      cutEach(
        roster.list().filter((relay) => relay.userId === userId),
        problem,
      ),
    cutAll: (problem) => cutEach(roster.list(), problem),
  }
}
