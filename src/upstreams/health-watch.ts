import { probeModels } from './probe.ts'
import type { Upstream } from './upstream.ts'

const timeoutMs = 10_000

/**
 * Asks an upstream for its models at an interval, so that an upstream that is down rests before a user's request fails.
 * One that rests is not asked: a successful list says nothing about a rate limit. Returns a function that stops it.
 */
export function watchHealth(upstream: Upstream, everyMs: number): () => void {
  let isAsking = false
  const timer = setInterval(() => {
    if (isAsking || upstream.health.isResting()) return
    isAsking = true
    // The result is noted as for every answer.
    void probeModels(upstream, timeoutMs).finally(() => {
      isAsking = false
    })
  }, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
