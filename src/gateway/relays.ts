import type { Problem } from '#core/errors.ts'
import { createRoster } from '#lib/roster.ts'

/** From when on a user is barred, and what those are told whose relays are cut then. */
export interface Bar {
  readonly at: number
  readonly problem: Problem
}

/** A relay as far as others may touch it. */
interface Cuttable {
  readonly userId: string
  /** Known already, though it lies ahead: an expiry, or a disabling at a set time. */
  bar: Bar | undefined
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
  /** Says from when on a user will be barred, or that he will not; for `cutBarred`. */
  readonly barUser: (userId: string, bar: Bar | undefined) => void
  /** Whose they are. */
  readonly users: () => ReadonlySet<string>
  /** Cuts those whose user is barred by now; answers how many there were. */
  readonly cutBarred: (now: number) => number
  readonly cutAll: (problem: Problem) => number
}

export function createRelays(): Relays {
  const roster = createRoster<Cuttable>()
  // Seldom asked, so it may look at all of them; a list by user would cost every relay.
  const ofUser = (userId: string) => roster.list().filter((relay) => relay.userId === userId)
  function cutEach(relays: readonly Cuttable[], problem: Problem): number {
    for (const relay of relays) relay.cut(problem)
    return relays.length
  }
  return {
    add: roster.add,
    count: roster.count,
    cutUser: (userId, problem) => cutEach(ofUser(userId), problem),
    barUser(userId, bar) {
      for (const relay of ofUser(userId)) relay.bar = bar
    },
    users: () => new Set(roster.list().map(({ userId }) => userId)),
    cutBarred(now) {
      const due = roster
        .list()
        .flatMap((relay) => (relay.bar && relay.bar.at <= now ? [[relay, relay.bar] as const] : []))
      for (const [relay, { problem }] of due) relay.cut(problem)
      return due.length
    },
    cutAll: (problem) => cutEach(roster.list(), problem),
  }
}
