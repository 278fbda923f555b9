import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '#core/clock.ts'
import type { Gateway } from '#gateway/gateway.ts'
import type { Store } from '#storage/store.ts'
import { cutIfBarred } from './revocation.ts'

/** No means no, now, also where another instance said it: whoever has something running here is looked at again. */
export interface RevocationWatch {
  /**
   * To be called when a relay has started. What the store says of a change and what it says of an admission come by
   * different ways: of a user who was let in before a change we may hear after it.
   */
  readonly started: (userId: string) => void
  readonly close: () => void
}

/** Longer than anybody waits for an admission. */
const rememberedMs = 15_000
const lookAgainMs = 400
/** In one question, of which one follows the other: many who run here do not stand in the way of who administers. */
const usersAtOnce = 500

export function watchRevocations(
  store: { readonly users: Pick<Store['users'], 'findBars'>; readonly watchUsers: Store['watchUsers'] },
  gateway: Pick<Gateway, 'cutUser' | 'barUser' | 'runningUsers'>,
  clock: Clock,
  onFailure: (error: unknown) => void,
): RevocationWatch {
  /** Who was changed lately, and until when that matters, by the clock that nobody sets; the oldest first. */
  const changed = new Map<string, number>()
  let anybodyUntil = 0
  const waiting = new Set<string>()
  let isLooking = false
  let isClosed = false

  function remember(ids: readonly string[] | 'anybody'): void {
    const now = performance.now()
    if (ids === 'anybody') anybodyUntil = now + rememberedMs
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
        for (const bar of await store.users.findBars(ids)) cutIfBarred(bar, gateway, clock())
      } catch (error) {
        // What was said stays said: they are asked after until there is an answer.
        onFailure(error)
        for (const id of ids) waiting.add(id)
        await wait(lookAgainMs, undefined, { ref: false })
      }
    }
    isLooking = false
  }

  const stop = store.watchUsers((ids) => {
    remember(ids)
    const running = gateway.runningUsers()
    lookAt(ids === 'anybody' ? running : ids.filter((id) => running.has(id)))
  })
  return {
    started(userId) {
      const until = Math.max(changed.get(userId) ?? 0, anybodyUntil)
      if (until > performance.now()) lookAt([userId])
    },
    close() {
      isClosed = true
      stop()
    },
  }
}
