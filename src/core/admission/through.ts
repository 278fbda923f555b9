import {
  type AdmissionRequest,
  type Decision,
  type Policy,
  type QuotaState,
  type QuotaView,
  type Refused,
  type UserState,
  viewQuota,
} from '#core/admission.ts'
import { addUnits } from '#core/units.ts'
import { decideCounts } from './decide.ts'
import { decideQuota } from './quota.ts'

/** A user with the stored quota of the request's family. */
interface Account {
  readonly user: UserState
  readonly quota: QuotaState | undefined
}

/**
 * Whether a person may ask through a front end: every rule holds for both, the front end first, and the units have to
 * fit into both quotas. Both hold the same units. The address is that of the front end and says nothing of the person.
 */
export function decideThrough(
  frontEnd: Account,
  person: Account,
  { address, units: asked }: Pick<AdmissionRequest, 'address'> & Required<Pick<AdmissionRequest, 'units'>>,
  policy: Policy,
  now: number,
): Decision {
  const shared = decideCounts(frontEnd.user, address, asked, policy, now)
  if (shared?.kind === 'refused') return refusedByFrontEnd(shared)
  const own = decideCounts(person.user, undefined, asked, policy, now)
  if (own?.kind === 'refused') return refusedByPerson(own)
  const { family = '' } = asked
  const [frontEndView, personView] = [frontEnd, person].map(({ user, quota }) =>
    viewQuota(user, family, quota, policy, now),
  ) as [QuotaView, QuotaView]
  const isShared = isTighter(frontEndView, personView)
  // What fits into the tighter one fits into the other.
  const decided = decideQuota(isShared ? frontEndView : personView, asked, policy, now)
  if (decided.kind === 'refused')
    return isShared
      ? refusedByFrontEnd(decided)
      : { ...refusedByPerson(decided), ...(own && { rate: own.view }) }
  return {
    ...decided,
    // The client is told of the person's quota and rate alone.
    quota: { ...personView, reserved: addUnits(personView.reserved, decided.hold) },
    arrivalAt: own?.arrivalAt,
    frontEndArrivalAt: shared?.arrivalAt,
    rate: own?.view,
  }
}

/** Whether less is left of the first; of two without a limit, whether more is reserved. */
function isTighter(one: QuotaView, other: QuotaView): boolean {
  const [left, leftOfOther] = [leftOf(one), leftOf(other)]
  return left === leftOfOther ? one.reserved > other.reserved : left < leftOfOther
}

function leftOf({ limit, used, reserved }: QuotaView): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : Math.max(0, limit - used - reserved)
}

/** It says whose limit it was, and nothing of what others have used. */
export function refusedByFrontEnd({ kind, code, retryAt, limit, disables }: Refused): Refused {
  return {
    ...{ kind, code, of: 'front_end', message: frontEndMessages[code] ?? frontEndMessage },
    ...(retryAt !== undefined && { retryAt }),
    ...(disables !== undefined && { disables }),
    ...(limit && {
      limit: {
        name: limit.name,
        of: 'front_end',
        ...(limit.family !== undefined && { family: limit.family }),
      },
    }),
  }
}

const frontEndMessage = 'The front end that sent this request may not ask for it.'
const frontEndMessages: { readonly [Code in Refused['code']]?: string } = {
  user_disabled: 'The front end that sent this request is disabled.',
  user_expired: 'The front end that sent this request has expired.',
  address_not_allowed: 'The front end may not send requests from this address.',
  address_limit: 'The front end sends requests from too many addresses.',
  rate_limited: 'The front end that sent this request has sent too many in this minute.',
  concurrency_limited: 'The front end that sent this request has too many running.',
  quota_exceeded: 'The quota of the front end that sent this request does not allow it.',
}

function refusedByPerson(refusal: Refused): Refused {
  const { message, limit } = refusal
  return {
    ...refusal,
    of: 'person',
    message: message
      .replace(/^This access token/, 'This person')
      .replace(/^The (\S+) quota/, 'This person’s $1 quota'),
    ...(limit && { limit: { ...limit, of: 'person' } }),
  }
}
