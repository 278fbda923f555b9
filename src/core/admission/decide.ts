import {
  type AdmissionRequest,
  type Decision,
  letIn,
  mayUseModel,
  type Policy,
  type QuotaState,
  type Refused,
  refuse,
  type UserState,
  viewQuota,
} from '#core/admission.ts'
import { whetherBlocked } from './blocks.ts'
import { decideRate, whetherCrowded } from './counts.ts'
import { isEvasive, isLimitedBeside, whetherStraying } from './models.ts'
import { decideQuota, refusePass } from './quota.ts'

/**
 * The admission policy: may this request start? One pure function answers, in a fixed order, so that the same history
 * gives the same answers on every database: unknown, disabled, expired, address, model, rate, concurrency, quota. The
 * caller has loaded (and locked) the state and saves what the decision says; a refusal changes nothing.
 *
 * `quota` is the stored quota of the request's family, undefined where the user never used
 * it. Times in epoch milliseconds; what is asked in LLM units, what is held, used and left in units of the quota.
 */
export function decideAdmission(
  user: UserState | undefined,
  quota: QuotaState | undefined,
  request: AdmissionRequest,
  policy: Policy,
  now: number,
): Decision {
  if (!user) return refuse('unknown_access_token', 'This access token is not known.')
  const asked = request.units
  if (!asked) {
    const blocked = whetherBlocked(user, request.address, policy, now)
    if (blocked) return blocked
    return request.pass ? decidePass(user, quota, request.pass, policy, now) : letIn
  }
  const rate = decideCounts(user, request.address, asked, policy, now)
  if (rate?.kind === 'refused') return rate
  const decided = decideQuota(viewQuota(user, asked.family ?? '', quota, policy, now), asked, policy, now)
  if (decided.kind === 'refused') return { ...decided, ...(rate && { rate: rate.view }) }
  return { ...decided, arrivalAt: rate?.arrivalAt, rate: rate?.view }
}

/** Every rule of a request with units but the quota's. What passes belongs to a family. */
export function decideCounts(
  user: UserState,
  address: string | undefined,
  asked: NonNullable<AdmissionRequest['units']>,
  policy: Policy,
  now: number,
): ReturnType<typeof decideRate> | Refused {
  const blocked = whetherBlocked(user, address, policy, now)
  if (blocked) return blocked
  const { family } = asked
  if (family === undefined) return refuse('model_not_served', `The model ${asked.model} is not served here.`)
  if (!mayUseModel(user.limits.allowedModels ?? policy.defaults.allowedModels, asked.model, family)) {
    return refuse('model_not_allowed', `This access token may not use the model ${asked.model}.`)
  }
  const strayed = asked.elsewhere && whetherStraying(user, family, asked.elsewhere, policy)
  if (strayed) return strayed
  if (asked.isUnnamed && isEvasive(user, family, asked, policy) && isLimitedBeside(user, family, policy)) {
    return refuse('model_not_served', `The model ${asked.model} is not served here: no upstream lists it.`)
  }
  const rate = decideRate(user, policy, now)
  if (rate?.kind === 'refused') return rate
  return whetherCrowded(user, policy, now) ?? rate
}

/**
 * A request that another gateway serves: it counts towards the rate, and is refused where its family's quota is used
 * up.
 */
function decidePass(
  user: UserState,
  stored: QuotaState | undefined,
  { model, family }: NonNullable<AdmissionRequest['pass']>,
  policy: Policy,
  now: number,
): Decision {
  if (model !== undefined && family === undefined)
    return refuse('model_not_served', `The model ${model} is not served here.`)
  const allowed = user.limits.allowedModels ?? policy.defaults.allowedModels
  if (family !== undefined && !mayUseModel(allowed, model ?? family, family))
    return refuse('model_not_allowed', `This access token may not use the model ${model ?? family}.`)
  const rate = decideRate(user, policy, now)
  if (rate?.kind === 'refused') return rate
  const crowded = whetherCrowded(user, policy, now)
  if (crowded) return crowded
  const quota = family === undefined ? undefined : viewQuota(user, family, stored, policy, now)
  if (quota?.limit !== undefined && quota.used + quota.reserved >= quota.limit)
    return { ...refusePass(quota, now), ...(rate && { rate: rate.view }) }
  return { ...letIn, arrivalAt: rate?.arrivalAt, quota, rate: rate?.view }
}
