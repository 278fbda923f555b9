import { renderDuration } from '#providers/durations.ts'
import type { LimitsView } from '#providers/provider.ts'

/** `x-ratelimit-*`: what is left of the requests per minute and of the quota, and for how long. */
export function limitHeaders({ quota, rate }: LimitsView, now: number): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const add = (what: string, limit: number, remaining: number, resetAt: number): void => {
    headers[`x-ratelimit-limit-${what}`] = String(limit)
    headers[`x-ratelimit-remaining-${what}`] = String(Math.max(0, remaining))
    if (Number.isFinite(resetAt)) headers[`x-ratelimit-reset-${what}`] = renderDuration(resetAt - now)
  }
  if (rate) add('requests', rate.limit, rate.remaining, rate.resetAt)
  if (quota?.limit !== undefined) {
    add('tokens', quota.limit, quota.limit - quota.used - quota.reserved, quota.resetAt)
  }
  return headers
}
