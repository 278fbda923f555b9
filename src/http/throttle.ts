import type { Clock } from '#core/clock.ts'
import { placeOf } from '#core/network.ts'

/**
 * Wrong credentials, throttled by place (an IPv4 address or an IPv6 /64): ten failures are free, then each one
 * closes the door for 1 s, 2 s, 4 s … at most 5 min. A minute without a failure, counted from when the door is
 * open again, forgives one; a success forgives all. Who is told to wait is not checked at all, so waiting costs
 * no look-up, and a guesser cannot learn anything meanwhile.
 */
export interface Throttle {
  /** When this address may try again, epoch milliseconds; undefined where it may now. */
  readonly blockedUntil: (address: string) => number | undefined
  readonly failed: (address: string) => void
  readonly succeeded: (address: string) => void
}

/** Others who keep the same throttle, and to whom what happens here matters as it does here. */
export interface ThrottlePeers {
  readonly tell: (words: string) => void
  readonly hear: (said: (words: string) => void) => void
}

interface Place {
  readonly failures: number
  /** When failures begin to be forgiven: the last failure, or the end of the delay it brought. */
  readonly openAt: number
}

const freeFailures = 10
const delayMsMin = 1_000
const delayMsMax = 300_000
const forgivenEveryMs = 60_000
// Counting on beyond the longest delay would only make the place wait longer for forgiveness.
const failuresMax = freeFailures + 1 + Math.ceil(Math.log2(delayMsMax / delayMsMin))

/**
 * @param options.placesMax how many places are remembered; the one that failed longest ago is forgotten first
 * @param options.peers counts together with others, each by his own clock: a guesser gains nothing by asking another
 */
export function createThrottle(
  clock: Clock,
  options: { readonly placesMax?: number; readonly peers?: ThrottlePeers } = {},
): Throttle {
  const { placesMax = 10_000, peers } = options
  const places = new Map<string, Place>()

  function failuresOf(place: Place | undefined, now: number): number {
    if (!place) return 0
    const forgiven = Math.max(0, Math.floor((now - place.openAt) / forgivenEveryMs))
    return Math.max(0, place.failures - forgiven)
  }

  function fail(key: string): void {
    const now = clock()
    const failures = Math.min(failuresMax, failuresOf(places.get(key), now) + 1)
    places.delete(key)
    places.set(key, { failures, openAt: now + delayMsOf(failures) })
    const [oldest] = places.keys()
    if (places.size > placesMax && oldest !== undefined) places.delete(oldest)
  }

  peers?.hear((words) => {
    const [what, key] = words.split(' ', 2)
    if (key === undefined) return
    if (what === 'failed') fail(key)
    if (what === 'succeeded') places.delete(key)
  })

  return {
    blockedUntil(address) {
      const openAt = places.get(placeOf(address))?.openAt
      return openAt !== undefined && openAt > clock() ? openAt : undefined
    },
    failed(address) {
      const key = placeOf(address)
      fail(key)
      peers?.tell(`failed ${key}`)
    },
    succeeded(address) {
      const key = placeOf(address)
      if (places.delete(key)) peers?.tell(`succeeded ${key}`)
    },
  }
}

function delayMsOf(failures: number): number {
  if (failures <= freeFailures) return 0
  return Math.min(delayMsMax, delayMsMin * 2 ** (failures - freeFailures - 1))
}
