import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '#core/clock.ts'
import type { Gateway } from '#gateway/gateway.ts'
import type { TokenState } from '#storage/store/users.ts'
import type { Store } from '#storage/store.ts'
import { followChanges } from './change-follower.ts'
import { cutIfBlocked } from './revocation.ts'

/**
 * Cuts running streams when their user is blocked, here or by another instance: the changes are followed, and users who
 * were changed while they run here are looked up again.
 */
export interface RevocationWatch {
  /**
   * To be called when a relay has started. Changes and admissions are read on different connections, so a change may be
   * read before the answer to an admission that was decided before that change.
   */
  readonly started: (userId: string) => void
  readonly close: () => void
}

/** Longer than the timeout of an admission. */
const rememberedMs = 15_000
const lookAgainMs = 400
/** Users in one query; queries run one after the other, so that many running users do not delay administrators. */
const usersAtOnce = 500
export async function watchRevocations(
  store: Parameters<typeof followChanges>[0] & {
    readonly users: Pick<Store['users'], 'findBlocks' | 'findTokenStates'>
  },
  gateway: Pick<Gateway, 'cutUser' | 'blockUser' | 'runningUsers' | 'tokensOf' | 'endToken'>,
  clock: Clock,
  onFailure: (error: unknown) => void,
): Promise<RevocationWatch> {
  /** Recently changed users, and until when they are remembered, by the monotonic clock; the oldest first. */
  const changed = new Map<string, number>()
  let allUntil = 0
  const waiting = new Set<string>()
  let isLooking = false
  let isClosed = false

  function remember(ids: readonly string[] | 'all'): void {
    const now = performance.now()
    if (ids === 'all') allUntil = now + rememberedMs
    else
      for (const id of ids) {
        changed.delete(id)
        changed.set(id, now + rememberedMs)
      }
    for (const [id, until] of changed) {
      if (until > now) break
      changed.delete(id)
    }
  }

  function lookAt(ids: Iterable<string>): void {
    for (const id of ids) waiting.add(id)
    if (!isLooking) void lookAtAll()
  }

  async function lookAtAll(): Promise<void> {
    isLooking = true
    while (waiting.size > 0 && !isClosed) {
      const ids = waiting.values().take(usersAtOnce).toArray()
      for (const id of ids) waiting.delete(id)
      try {
        for (const block of await store.users.findBlocks(ids)) cutIfBlocked(block, gateway, clock())
        await endTokens(ids)
      } catch (error) {
        // The change must not be missed: the users are looked up again until that succeeds.
        onFailure(error)
        for (const id of ids) waiting.add(id)
        await wait(lookAgainMs, undefined, { ref: false })
      }
    }
    isLooking = false
  }

  /** Relays that were opened with an access token that was rotated since end with that token. */
  async function endTokens(ids: readonly string[]): Promise<void> {
    const accessTokens = [...gateway.tokensOf(new Set(ids))]
    if (accessTokens.length === 0) return
    const states = await store.users.findTokenStates(accessTokens)
    for (const [index, accessToken] of accessTokens.entries())
      gateway.endToken(accessToken, endOf(states[index]))
  }

  function take(ids: readonly string[] | 'all'): void {
    remember(ids)
    const running = gateway.runningUsers()
    lookAt(ids === 'all' ? running : ids.filter((id) => running.has(id)))
  }

  const stop = await followChanges(store, take, onFailure)
  return {
    started(userId) {
      const until = Math.max(changed.get(userId) ?? 0, allUntil)
      if (until > performance.now()) lookAt([userId])
    },
    close() {
      isClosed = true
      stop()
    },
  }
}

/** Until when the token is accepted, epoch milliseconds; undefined where it has no end of its own. */
function endOf(state: TokenState | undefined): number | undefined {
  if (state === undefined || state.kind === 'present') return undefined
  return state.kind === 'old' ? state.until : 0
}
