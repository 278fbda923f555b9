/**
 * Requests per minute by the generic cell rate algorithm: one number per user, the theoretical arrival time
 * (TAT), and no window to reset. The burst is a full minute's worth, so a user who was idle may spend the whole
 * minute at once and then gets one request per `60 s / limit`.
 */
export type RateAnswer =
  | {
      readonly kind: 'within'
      readonly arrivalAt: number
      readonly remaining: number
      readonly resetAt: number
    }
  | { readonly kind: 'beyond'; readonly retryAt: number; readonly resetAt: number }

const minuteMs = 60_000
/**
 * By how much the clocks of those who ask about one user may differ: of machines, and of two questions of which the
 * later one was looked at first. Without it the one who is behind by a millisecond would take a full minute for stale.
 */
const skewMs = 60_000
/** Sums of fractions: what differs by less is the same instant. */
const roundingMs = 1e-3

/**
 * @param arrivalAt the stored TAT in epoch milliseconds (fractions allowed), undefined for a new user
 * @param perMinute the limit, above 0
 */
export function takeRate(arrivalAt: number | undefined, perMinute: number, now: number): RateAnswer {
  const spacing = minuteMs / perMinute
  // No request that was let in leaves a TAT beyond a minute from its own time: one that lies far beyond was left by
  // a clock that has since been set back. It says nothing of the present, and must not lock a user out.
  const isStale = arrivalAt !== undefined && arrivalAt > now + minuteMs + skewMs + roundingMs
  const from = isStale ? now : Math.max(arrivalAt ?? now, now)
  const next = from + spacing
  // Rounding: a full burst must not lose its last request to the 53rd bit.
  const room = now + minuteMs - next
  if (room < -roundingMs)
    return { kind: 'beyond', retryAt: Math.ceil(next - minuteMs), resetAt: Math.ceil(from) }
  return {
    kind: 'within',
    arrivalAt: next,
    remaining: Math.max(0, Math.floor(room / spacing + 1e-6)),
    resetAt: Math.ceil(next),
  }
}
