import type { LimitsView } from '#providers/provider.ts'

/** `anthropic-ratelimit-*`: what is left of the requests per minute and of the quota, and until when. */
export function limitHeaders({ quota, rate }: LimitsView): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const add = (what: string, limit: number, remaining: number, resetAt: number): void => {
    headers[`anthropic-ratelimit-${what}-limit`] = String(limit)
    headers[`anthropic-ratelimit-${what}-remaining`] = String(Math.max(0, remaining))
    if (Number.isFinite(resetAt)) headers[`anthropic-ratelimit-${what}-reset`] = renderTime(resetAt)
  }
  if (rate) add('requests', rate.limit, rate.remaining, rate.resetAt)
  if (quota?.limit !== undefined) {
    add('tokens', quota.limit, quota.limit - quota.used - quota.reserved, quota.resetAt)
  }
  return headers
}

/** RFC 3339, in whole seconds, rounded up so that a client does not retry too early. */
function renderTime(at: number): string {
  return new Date(Math.ceil(at / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}
