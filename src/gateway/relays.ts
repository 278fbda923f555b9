import { createProblem, type Problem } from '#core/errors.ts'
import { createRoster } from '#lib/roster.ts'

/** When a user becomes blocked, and the problem that running relays are cut with then. */
export interface Block {
  readonly at: number
  readonly problem: Problem
}

/** The part of a relay that the list of relays uses. */
interface Cuttable {
  readonly userId: string
  readonly accessToken: string
  /** A coming block: an expiry, or a disabling at a set time. */
  block: Block | undefined
  /** The end of its access token, which was rotated. */
  tokenEnd: Block | undefined
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
  /** The access tokens of these users' open relays. */
  readonly tokensOf: (userIds: ReadonlySet<string>) => ReadonlySet<string>
  /** Sets or clears the end of an access token, for `cutBlocked`. */
  readonly endToken: (accessToken: string, until: number | undefined) => void
  /** The users of the open relays. */
  readonly users: () => ReadonlySet<string>
  /** Cuts the relays whose user is blocked by now; returns how many there were. */
  readonly cutBlocked: (now: number) => number
  readonly cutAll: (problem: Problem) => number
}

/** @param until epoch milliseconds; undefined for the present access token of a user */
export function endOfToken(until: number | undefined): Block | undefined {
  return until === undefined
    ? undefined
    : { at: until, problem: createProblem('unknown_access_token', ended) }
}

const ended = 'This access token was replaced.'

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
    tokensOf: (userIds) =>
      new Set(roster.list().flatMap((relay) => (userIds.has(relay.userId) ? [relay.accessToken] : []))),
    endToken(accessToken, until) {
      const end = endOfToken(until)
      for (const relay of roster.list()) if (relay.accessToken === accessToken) relay.tokenEnd = end
    },
    users: () => new Set(roster.list().map(({ userId }) => userId)),
    cutBlocked(now) {
      const due = roster.list().flatMap((relay) => {
        const { block, tokenEnd } = relay
        const met = block && block.at <= now ? block : tokenEnd
        return met && met.at <= now ? [[relay, met] as const] : []
      })
      for (const [relay, { problem }] of due) relay.cut(problem)
      return due.length
    },
    cutAll: (problem) => cutEach(roster.list(), problem),
  }
}
