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
  /** The front end that its user asked through, whose access token it is, and that one's coming block. */
  readonly frontEndId: string | undefined
  frontEndBlock: Block | undefined
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

/** The user whose access token opened it. */
function ownerOf({ userId, frontEndId }: Cuttable): string {
  return frontEndId ?? userId
}

export function createRelays(): Relays {
  const roster = createRoster<Cuttable>()
  // This is rare, so a scan of all relays will do; an index by user would cost every relay.
  const ofUser = (userId: string) => roster.list().filter((relay) => relay.userId === userId)
  const through = (userId: string) => roster.list().filter((relay) => relay.frontEndId === userId)
  function cutEach(relays: readonly Cuttable[], problem: Problem): number {
    for (const relay of relays) relay.cut(problem)
    return relays.length
  }
  return {
    add: roster.add,
    count: roster.count,
    cutUser: (userId, problem) => cutEach([...ofUser(userId), ...through(userId)], problem),
    blockUser(userId, block) {
      for (const relay of ofUser(userId)) relay.block = block
      for (const relay of through(userId)) relay.frontEndBlock = block
    },
    tokensOf: (userIds) =>
      new Set(roster.list().flatMap((relay) => (userIds.has(ownerOf(relay)) ? [relay.accessToken] : []))),
    endToken(accessToken, until) {
      const end = endOfToken(until)
      for (const relay of roster.list()) if (relay.accessToken === accessToken) relay.tokenEnd = end
    },
    users: () => new Set(roster.list().flatMap((relay) => [relay.userId, ownerOf(relay)])),
    cutBlocked(now) {
      const due = roster.list().flatMap((relay) => {
        const met = [relay.block, relay.frontEndBlock, relay.tokenEnd].find((end) => end && end.at <= now)
        return met ? [[relay, met] as const] : []
      })
      for (const [relay, { problem }] of due) relay.cut(problem)
      return due.length
    },
    cutAll: (problem) => cutEach(roster.list(), problem),
  }
}
