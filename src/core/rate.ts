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
 * Tolerated clock skew: between machines, and between two questions of which the later one was decided first. Without
 * it a question that is a millisecond behind would take a full minute for stale.
 */
const skewMs = 60_000
/** Rounding of fractions: instants that differ by less are equal. */
const roundingMs = 1e-3

/**
 * @param arrivalAt the stored TAT in epoch milliseconds (fractions allowed), undefined for a new user
 * @param perMinute the limit, above 0
 */
export function takeRate(arrivalAt: number | undefined, perMinute: number, now: number): RateAnswer {
  const spacing = minuteMs / perMinute
  // An admitted request leaves a TAT of at most a minute after its own time. One far beyond was stored by a clock that
  // has since been set back. It is ignored, so that it does not lock the user out.
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
