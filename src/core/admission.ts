import { matchesGlob } from '#lib/glob.ts'
import { type Family, familyOf } from './family.ts'
import { createNetworks, type Networks, placeOf } from './network.ts'
import type { Period, PeriodBounds } from './period.ts'
import { takeRate } from './rate.ts'
import { isDisabled, isExpired, UNLIMITED, type UserLimits, type UserType } from './user.ts'

/**
 * The admission policy: may this request start? One pure function answers, in a fixed order, so that the same
 * history gives the same answers on every database: unknown, disabled, expired, address, model, rate,
 * concurrency, quota. Whoever calls it has loaded (and locked) the state and saves what the decision says; a
 * refusal changes nothing.
 */

/** What the operator's configuration says where a user's own limits are silent. */
export interface Policy {
  readonly families: readonly Family[]
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  /** Units reserved for output where a request does not bound it. */
  readonly outputDefault: number
  /** Bounds of the period that `now` lies in. */
  readonly periodAt: (period: Period, now: number) => PeriodBounds
}

/** A user as the decision sees it. */
export interface UserState {
  readonly id: string
  readonly type: UserType
  readonly disabledAt?: number
  readonly disabledReason?: string
  readonly expiresAt?: number
  readonly limits: UserLimits
  /** Relays that are running now. */
  readonly openRequests: number
  /** The rate limit's theoretical arrival time. */
  readonly arrivalAt?: number
  /** Places (IPv4 addresses, IPv6 /64s) the user came from; asked only where their number is limited. */
  readonly places: () => ReadonlySet<string>
}

/** A stored quota; `periodStartedAt` tells whether its period is over. */
export interface QuotaState {
  readonly limit?: number
  readonly used: number
  readonly reserved: number
  readonly periodStartedAt: number
}

/** What is asked. Without `units` it is only whether the holder may come in: nothing is reserved or counted. */
export interface AdmissionRequest {
  readonly address: string
  readonly units?: {
    readonly model: string
    /** The model's family, undefined where it belongs to none. */
    readonly family: string | undefined
    /** Estimated input. */
    readonly input: number
    /** The most output the request allows, over all its choices; undefined where it does not say. */
    readonly output: number | undefined
    /** How many answers it asks for; the cap that the gateway sets holds for each of them. */
    readonly choices: number
  }
}

/** Where a family's quota stands after a decision. */
export interface QuotaView {
  readonly family: string
  readonly used: number
  readonly reserved: number
  /** Undefined where there is no limit. */
  readonly limit: number | undefined
  /** When the period ends; Infinity for a quota without a period. */
  readonly resetAt: number
}

export interface RateView {
  readonly limit: number
  readonly remaining: number
  readonly resetAt: number
}

export interface Admitted {
  readonly kind: 'admitted'
  /** Units to reserve; 0 where nothing was asked. */
  readonly hold: number
  /** The most output each answer may have, where the gateway has to write it into the request. */
  readonly outputCap: number | undefined
  /** The rate limit's new arrival time, where a rate applies. */
  readonly arrivalAt: number | undefined
  readonly quota: QuotaView | undefined
  readonly rate: RateView | undefined
}

type RefusalCode =
  | 'unknown_access_token'
  | 'user_disabled'
  | 'user_expired'
  | 'address_not_allowed'
  | 'address_limit'
  | 'model_not_allowed'
  | 'model_not_served'
  | 'rate_limited'
  | 'concurrency_limited'
  | 'quota_exceeded'

interface Refused {
  readonly kind: 'refused'
  readonly code: RefusalCode
  /** A sentence for the holder. */
  readonly message: string
  /** When asking again may succeed; absent where waiting does not help. */
  readonly retryAt?: number
  readonly quota?: QuotaView
  readonly rate?: RateView
}

export type Decision = Admitted | Refused

/**
 * Decides one request. `quota` is the stored quota of the request's family, undefined where the user never used
 * it. Times in epoch milliseconds, amounts in LLM units.
 */
export function decideAdmission(
  user: UserState | undefined,
  quota: QuotaState | undefined,
  request: AdmissionRequest,
  policy: Policy,
  now: number,
): Decision {
  if (!user) return refuse('unknown_access_token', 'This access token is not known.')
  const barred = whetherBarred(user, request.address, policy, now)
  if (barred) return barred
  const asked = request.units
  if (!asked) {
    return {
      kind: 'admitted',
      hold: 0,
      outputCap: undefined,
      arrivalAt: undefined,
      quota: undefined,
      rate: undefined,
    }
  }
  const { family } = asked
  if (family === undefined) return refuse('model_not_served', `The model ${asked.model} is not served here.`)
  if (!mayUseModel(user.limits.allowedModels ?? policy.defaults.allowedModels, asked.model, family)) {
    return refuse('model_not_allowed', `This access token may not use the model ${asked.model}.`)
  }
  const rate = decideRate(user, policy, now)
  if (rate?.kind === 'refused') return rate
  const crowded = whetherCrowded(user, policy)
  if (crowded) return crowded
  const decided = decideQuota(viewQuota(user, family, quota, policy, now), asked, policy, now)
  if (decided.kind === 'refused') return { ...decided, ...(rate && { rate: rate.view }) }
  return { ...decided, arrivalAt: rate?.arrivalAt, rate: rate?.view }
}

/** A family's quota as it stands at `now`: counted from zero when the stored period is over. */
export function viewQuota(
  user: Pick<UserState, 'type' | 'limits'>,
  family: string,
  quota: QuotaState | undefined,
  policy: Policy,
  now: number,
): QuotaView {
  const bounds = policy.periodAt(periodOf(user.limits, policy), now)
  const current = quota !== undefined && quota.periodStartedAt >= bounds.startAt
  const limit = quota?.limit ?? policy.limits[family] ?? UNLIMITED
  return {
    family,
    used: current ? quota.used : 0,
    reserved: quota?.reserved ?? 0,
    limit: limit === UNLIMITED || user.type === 'special' ? undefined : limit,
    resetAt: bounds.endAt,
  }
}

/** The quota period that holds for a user. */
export function periodOf(limits: UserLimits, policy: Policy): Period {
  return limits.period ?? policy.defaults.period ?? 'none'
}

function refuse(code: RefusalCode, message: string): Refused {
  return { kind: 'refused', code, message }
}

function whetherBarred(user: UserState, address: string, policy: Policy, now: number): Refused | undefined {
  if (isDisabled(user, now)) {
    const why = user.disabledReason ? `: ${user.disabledReason}` : '.'
    return refuse('user_disabled', `This access token is disabled${why}`)
  }
  if (isExpired(user, now)) return refuse('user_expired', 'This access token has expired.')
  const networks = user.limits.allowedNetworks
  if (networks && networks.length > 0 && !networksOf(networks)(address)) {
    return refuse('address_not_allowed', `This access token may not be used from ${address}.`)
  }
  return whetherElsewhere(user, address, policy)
}

/** Whether it matters where a user comes from. */
export function isPlaceLimited(user: UserState, policy: Policy): boolean {
  return numberLimit(user, user.limits.maxIps, policy.defaults.maxIps) !== undefined
}

/** A place beyond as many as the user may come from; those that are known stay welcome. */
function whetherElsewhere(user: UserState, address: string, policy: Policy): Refused | undefined {
  const limit = numberLimit(user, user.limits.maxIps, policy.defaults.maxIps)
  if (limit === undefined) return undefined
  const places = user.places()
  if (places.has(placeOf(address)) || places.size < limit) return undefined
  return refuse('address_limit', `IP address limit exceeded: this access token may be used from ${limit}.`)
}

// Compiling a list costs more than testing an address; lists are few and come back as new arrays on each load.
const compiled = new Map<string, Networks>()
function networksOf(networks: readonly string[]): Networks {
  const key = networks.join(' ')
  const known = compiled.get(key)
  if (known) return known
  if (compiled.size >= 1000) compiled.clear()
  const made = createNetworks(networks)
  compiled.set(key, made)
  return made
}

function mayUseModel(allowed: readonly string[] | undefined, model: string, family: string): boolean {
  if (!allowed || allowed.length === 0) return true
  return allowed.some((glob) => glob === family || matchesGlob(glob, model))
}

/** Whether a holder may see and ask for a model: it belongs to a family, and no list of the user's excludes it. */
export function maySeeModel(limits: UserLimits, model: string, policy: Policy): boolean {
  const family = familyOf(model, policy.families)
  return (
    family !== undefined && mayUseModel(limits.allowedModels ?? policy.defaults.allowedModels, model, family)
  )
}

function decideRate(user: UserState, policy: Policy, now: number) {
  const limit = numberLimit(user, user.limits.requestsPerMinute, policy.defaults.requestsPerMinute)
  if (limit === undefined) return undefined
  if (limit === 0) return refuse('rate_limited', 'This access token is limited to 0 requests per minute.')
  const answer = takeRate(user.arrivalAt, limit, now)
  if (answer.kind === 'beyond') {
    const view = { limit, remaining: 0, resetAt: answer.resetAt }
    const message = `This access token is limited to ${limit} requests per minute.`
    return { ...refuse('rate_limited', message), retryAt: answer.retryAt, rate: view }
  }
  const view: RateView = { limit, remaining: answer.remaining, resetAt: answer.resetAt }
  return { kind: 'within' as const, arrivalAt: answer.arrivalAt, view }
}

function whetherCrowded(user: UserState, policy: Policy): Refused | undefined {
  const limit = numberLimit(user, user.limits.concurrentRequests, policy.defaults.concurrentRequests)
  if (limit === undefined || user.openRequests < limit) return undefined
  return refuse('concurrency_limited', `This access token is limited to ${limit} requests at once.`)
}

/** A number's limit that holds for this user; undefined where none does. */
function numberLimit(
  user: UserState,
  own: number | undefined,
  byDefault: number | undefined,
): number | undefined {
  const limit = own ?? byDefault ?? UNLIMITED
  return limit === UNLIMITED || user.type === 'special' ? undefined : limit
}

function decideQuota(
  view: QuotaView,
  asked: NonNullable<AdmissionRequest['units']>,
  policy: Policy,
  now: number,
): Decision {
  const admit = (output: number, outputCap: number | undefined): Admitted => {
    const hold = asked.input + output
    const quota = { ...view, reserved: view.reserved + hold }
    return { kind: 'admitted', hold, outputCap, quota, arrivalAt: undefined, rate: undefined }
  }
  if (view.limit === undefined) return admit(asked.output ?? policy.outputDefault * asked.choices, undefined)
  const left = view.limit - view.used - view.reserved
  // An answer nobody bounds could outgrow its reservation, so the gateway bounds it by what is left.
  const cap =
    asked.output === undefined
      ? Math.min(policy.outputDefault, Math.floor((left - asked.input) / asked.choices))
      : undefined
  const needed = asked.input + (asked.output ?? Math.max(1, cap ?? 1) * asked.choices)
  if (needed > left) return refuseQuota(view, needed, now)
  return admit(asked.output ?? Math.max(1, cap ?? 1) * asked.choices, cap)
}

function refuseQuota(view: QuotaView, needed: number, now: number): Refused {
  const limit = view.limit ?? 0
  const reserved = view.reserved > 0 ? `, ${view.reserved} reserved by running requests` : ''
  const message =
    `The ${view.family} quota does not allow this request: it needs up to ${needed} units, ` +
    `${view.used} of ${limit} are used${reserved}.`
  const refused = { ...refuse('quota_exceeded', message), quota: view }
  // Only what other requests hold stands in the way: some of it comes back as soon as they end.
  if (view.reserved > 0 && view.used + needed <= limit) return { ...refused, retryAt: now + 1000 }
  // Waiting for the next period helps only where the request fits into a whole one.
  if (Number.isFinite(view.resetAt) && needed <= limit) return { ...refused, retryAt: view.resetAt }
  return refused
}
