import type { Problem } from '#core/errors.ts'
import { createRoster } from '#lib/roster.ts'

/** When a user becomes blocked, and the problem that running relays are cut with then. */
export interface Block {
  readonly at: number
  readonly problem: Problem
}

/** The part of a relay that the list of relays uses. */
interface Cuttable {
  readonly userId: string
  /** A coming block: an expiry, or a disabling at a set time. */
  block: Block | undefined
  /** Ends the relay now and settles it. The client gets this problem if it can still be told. */
  readonly cut: (problem: Problem) => void
}

/** The relays that are open now. */
export interface Relays {
  /** Returns the function to call when the relay has ended. */
  readonly add: (relay: Cuttable) => () => void
  readonly count: () => number
  /** Cuts the relays of one user; returns how many there were. */
  readonly cutUser: (userId: string, problem: Problem) => number
  /** Sets or clears the coming block of a user, for `cutBlocked`. */
  readonly blockUser: (userId: string, block: Block | undefined) => void
  /** The users of the open relays. */
  readonly users: () => ReadonlySet<string>
  /** Cuts the relays whose user is blocked by now; returns how many there were. */
  readonly cutBlocked: (now: number) => number
  readonly cutAll: (problem: Problem) => number
}

export function createRelays(): Relays {
  const roster = createRoster<Cuttable>()
  // This is rare, so a scan of all relays will do; an index by user would cost every relay.
  const ofUser = (userId: string) => roster.list().filter((relay) => relay.userId === userId)
  function cutEach(relays: readonly Cuttable[], problem: Problem): number {
    for (const relay of relays) relay.cut(problem)
    return relays.length
  }
  return {
    add: roster.add,
    count: roster.count,
    cutUser: (userId, problem) => cutEach(ofUser(userId), problem),
    blockUser(userId, block) {
      for (const relay of ofUser(userId)) relay.block = block
    },
    users: () => new Set(roster.list().map(({ userId }) => userId)),
    cutBlocked(now) {
      const due = roster
        .list()
        .flatMap((relay) => (relay.block && relay.block.at <= now ? [[relay, relay.block] as const] : []))
      for (const [relay, { problem }] of due) relay.cut(problem)
      return due.length
    },
    cutAll: (problem) => cutEach(roster.list(), problem),
  }
}
