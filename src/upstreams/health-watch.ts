import { probeModels } from './probe.ts'
import type { Upstream } from './upstream.ts'

const timeoutMs = 10_000

/**
 * Asks an upstream for its models now and then, so that one that has gone rests before a user's request finds out. One
 * that rests is left alone: a list that is answered says nothing of a rate limit. Returns what ends it.
 */
export function watchHealth(upstream: Upstream, everyMs: number): () => void {
  let isAsking = false
  const timer = setInterval(() => {
    if (isAsking || upstream.health.isResting()) return
    isAsking = true
    // What comes of it is noted where every answer is.
    void probeModels(upstream, timeoutMs).finally(() => {
      isAsking = false
    })
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
