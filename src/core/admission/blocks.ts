import { type Policy, type Refused, refuse, type UserState } from '#core/admission.ts'
import type { LimitFacts } from '#core/errors.ts'
import type { UserLimits } from '#core/limits.ts'
import { createNetworks, type Networks, placeOf } from '#core/network.ts'
import { isDisabled, isExpired, UNLIMITED } from '#core/user.ts'
import { numberLimit } from './counts.ts'

/** What blocks a user whatever is asked for: disabled, expired, and the address from which the request comes. */
export function whetherBlocked(
  user: UserState,
  address: string | undefined,
  policy: Policy,
  now: number,
): Refused | undefined {
  if (isDisabled(user, now)) {
    const why = user.disabledReason ? `: ${user.disabledReason}` : '.'
    return refuse('user_disabled', `This access token is disabled${why}`)
  }
  if (isExpired(user, now)) return refuse('user_expired', 'This access token has expired.')
  if (address === undefined) return undefined
  const networks = user.limits.allowedNetworks ?? policy.defaults.allowedNetworks
  if (networks && networks.length > 0 && !networksOf(networks)(address)) {
    return refuse('address_not_allowed', `This access token may not be used from ${address}.`)
  }
  return whetherElsewhere(user, address, policy, now)
}

/** Whether the user's addresses are limited. */
export function isPlaceLimited(user: UserState, policy: Policy): boolean {
  return numberLimit(user, user.limits.maxIps, policy.defaults.maxIps) !== undefined
}

const dayMs = 86_400_000

/** From which instant on a sighting of an address counts towards `maxIps`; 0 where addresses are never forgotten. */
export function placesSince(limits: UserLimits, policy: Policy, now: number): number {
  const days = limits.ipWindowDays ?? policy.defaults.ipWindowDays ?? UNLIMITED
  return days === UNLIMITED ? 0 : now - days * dayMs
}

const tooManyPlaces = 'IP address limit exceeded'

/** Refuses a new place beyond `maxIps`; requests from known places are still admitted. */
function whetherElsewhere(
  user: UserState,
  address: string,
  policy: Policy,
  now: number,
): Refused | undefined {
  const limit = numberLimit(user, user.limits.maxIps, policy.defaults.maxIps)
  if (limit === undefined) return undefined
  const places = user.places(placesSince(user.limits, policy, now))
  if (places.has(placeOf(address)) || places.size < limit) return undefined
  const facts: LimitFacts = { name: 'maxIps', limit, used: places.size }
  const action = user.limits.ipLimitAction ?? policy.defaults.ipLimitAction ?? 'refuse'
  if (action === 'disable') {
    const message = `${tooManyPlaces}: this access token is now disabled.`
    return { ...refuse('address_limit', message), limit: facts, disables: tooManyPlaces }
  }
  const message = `${tooManyPlaces}: this access token may be used from ${limit}.`
  return { ...refuse('address_limit', message), limit: facts }
}

// Compiling a list costs more than testing an address. Storage hands out the same list for the same text.
const compiled = new WeakMap<readonly string[], Networks>()
function networksOf(networks: readonly string[]): Networks {
  const known = compiled.get(networks)
  if (known) return known
  const made = createNetworks(networks)
  compiled.set(networks, made)
  return made
}
