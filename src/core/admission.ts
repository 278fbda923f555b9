import { takesAnything } from '#lib/glob.ts'
import type { LimitFacts } from './errors.ts'
import { type Family, familyOf, isCaughtAll } from './family.ts'
import type { LimitRefusal, UserLimits } from './limits.ts'
import { matchesName } from './model-name.ts'
import { createNetworks, type Networks, placeOf } from './network.ts'
import { type AdvisorMost, heldFor, needOf, type OutputAsked, type OutputPolicy } from './output-need.ts'
import type { Period, PeriodBounds } from './period.ts'
import { takeRate } from './rate.ts'
import { addUnits, sumMax, toNeed, unitsMax } from './units.ts'
import { isDisabled, isExpired, UNLIMITED, type UserType } from './user.ts'
import { plainWeights, type WeightsOf } from './weights.ts'

/**
 * The admission policy: may this request start? One pure function answers, in a fixed order, so that the same history
 * gives the same answers on every database: unknown, disabled, expired, address, model, rate, concurrency, quota. The
 * caller has loaded (and locked) the state and saves what the decision says; a refusal changes nothing.
 */

/** The operator's configuration, which applies where a user has no limit of their own. */
export interface Policy {
  readonly families: readonly Family[]
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  /** Models that the configuration names beside those of `families`; reports always show them. */
  readonly modelNames?: readonly string[]
  /** How much output a request of a limited user may ask for. */
  readonly output: OutputPolicy
  /** Of a family; absent where every unit counts as one. */
  readonly weightsOf?: WeightsOf
  /** IANA name; days and the periods of quotas follow its calendar. */
  readonly timeZone: string
  /** Bounds of the period that `now` lies in. */
  readonly periodAt: (period: Period, now: number) => PeriodBounds
}

/** The state of a user that the decision needs. */
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
  /**
   * Places (IPv4 addresses, IPv6 /64s) at which the user was seen since an instant; read only where their number is
   * limited.
   */
  readonly places: (since: number) => ReadonlySet<string>
  /** By family; a family without a limit is absent. */
  readonly quotas?: ReadonlyMap<string, QuotaState>
}

/** A stored quota; `periodStartedAt` tells whether its period is over. */
export interface QuotaState {
  readonly limit?: number
  /** Added to the limit, own or default, for this period. */
  readonly extra: number
  readonly used: number
  readonly reserved: number
  readonly periodStartedAt: number
}

/**
 * The question. With `units` for a request that is to be metered. With `pass` for one that another gateway serves and
 * that is not metered here: it counts towards the rate, and needs a quota that is not used up. With neither it only
 * authenticates the user.
 */
export interface AdmissionRequest {
  /** Undefined where the client's address is not known: then rules about addresses do not apply. */
  readonly address: string | undefined
  readonly pass?: { readonly model?: string; readonly family?: string }
  readonly units?: OutputAsked & {
    readonly model: string
    /** The model's family; undefined where no family takes it. */
    readonly family: string | undefined
    /** Further models that it may reach; absent where it may reach only `model`. */
    readonly elsewhere?:
      | {
          readonly models: readonly { readonly model: string; readonly family: string | undefined }[]
          /** Models that the request does not name may be reached as well. */
          readonly isOpen: boolean
        }
      | undefined
    /** A name that only catch-alls match and that no upstream lists: it may stand for any model. */
    readonly isUnnamed?: boolean
  }
}

/** The state of a family's quota after a decision. */
export interface QuotaView {
  readonly family: string
  readonly used: number
  readonly reserved: number
  /** With the units added for this period; undefined where the family is unlimited. */
  readonly limit: number | undefined
  /** What was added. */
  readonly extra: number
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
  /** Units to reserve; 0 where the question has none. */
  readonly hold: number
  /** The most output each answer may have, where it has to be written into the request. */
  readonly outputCap: number | undefined
  /** The most output each answer may have within the hold; undefined without a limit. */
  readonly outputMost: number | undefined
  /** The bounds of the request's advisor within the hold; absent without an advisor or without a limit. */
  readonly advisorMost?: AdvisorMost
  /** The rate limit's new arrival time, where a rate applies. */
  readonly arrivalAt: number | undefined
  readonly quota: QuotaView | undefined
  readonly rate: RateView | undefined
}

type RefusalCode =
  | LimitRefusal
  | 'unknown_access_token'
  | 'user_disabled'
  | 'user_expired'
  | 'model_not_served'
  | 'quota_exceeded'

/** Whether the refusal is about the user, whatever the request asks for. */
export function isBarring(code: RefusalCode): boolean {
  switch (code) {
    case 'unknown_access_token':
    case 'user_disabled':
    case 'user_expired':
    case 'address_not_allowed':
    case 'address_limit':
      return true
    default:
      return false
  }
}

interface Refused {
  readonly kind: 'refused'
  readonly code: RefusalCode
  /** A sentence for the user. */
  readonly message: string
  /** When asking again may succeed; absent where waiting does not help. */
  readonly retryAt?: number
  readonly limit?: LimitFacts
  readonly quota?: QuotaView
  readonly rate?: RateView
  /** The user is to be disabled for it, with this reason. */
  readonly disables?: string
}

export type Decision = Admitted | Refused

/**
 * Decides one request. `quota` is the stored quota of the request's family, undefined where the user never used
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
  const blocked = whetherBlocked(user, request.address, policy, now)
  if (blocked) return blocked
  const asked = request.units
  if (!asked) return request.pass ? decidePass(user, quota, request.pass, policy, now) : letIn
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
  const crowded = whetherCrowded(user, policy, now)
  if (crowded) return crowded
  const decided = decideQuota(viewQuota(user, family, quota, policy, now), asked, policy, now)
  if (decided.kind === 'refused') return { ...decided, ...(rate && { rate: rate.view }) }
  return { ...decided, arrivalAt: rate?.arrivalAt, rate: rate?.view }
}

const letIn: Admitted = {
  kind: 'admitted',
  hold: 0,
  outputCap: undefined,
  outputMost: undefined,
  arrivalAt: undefined,
  quota: undefined,
  rate: undefined,
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

/** A family's quota at `now`: it counts from zero when the stored period is over. */
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
  const extra = current ? quota.extra : 0
  return {
    family,
    used: current ? quota.used : 0,
    reserved: quota?.reserved ?? 0,
    limit: limit === UNLIMITED || user.type === 'special' ? undefined : addUnits(limit, extra),
    extra,
    resetAt: bounds.endAt,
  }
}

/** The quota period that applies to a user. */
export function periodOf(limits: UserLimits, policy: Policy): Period {
  return limits.period ?? policy.defaults.period ?? 'none'
}

function refuse(code: RefusalCode, message: string): Refused {
  return { kind: 'refused', code, message }
}

function whetherBlocked(
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

function mayUseModel(allowed: readonly string[] | undefined, model: string, family: string): boolean {
  if (!allowed || allowed.length === 0) return true
  return allowed.some((glob) => glob === family || matchesName(glob, model))
}

type Elsewhere = NonNullable<NonNullable<AdmissionRequest['units']>['elsewhere']>

/**
 * A request that may reach other models than its own. Each is subject to the user's list. What they use is counted to
 * the request's family, since an answer does not say reliably which of them used what. So a model of another family
 * with a limit is refused: its usage would not count there.
 */
function whetherStraying(
  user: UserState,
  own: string,
  { models, isOpen }: Elsewhere,
  policy: Policy,
): Refused | undefined {
  const allowed = user.limits.allowedModels ?? policy.defaults.allowedModels
  for (const { model, family } of models) {
    if (family === undefined) return refuse('model_not_served', `The model ${model} is not served here.`)
    if (!mayUseModel(allowed, model, family))
      return refuse('model_not_allowed', `This access token may not use the model ${model}.`)
    if (family !== own && isFamilyLimited(user, family, policy)) {
      const why = `the quota of ${family} is apart from that of ${own}. Ask for it in a request of its own.`
      return refuse('model_not_allowed', `The model ${model} may not be reached from here: ${why}`)
    }
  }
  if (!isOpen) return undefined
  const isNarrow = allowed !== undefined && allowed.length > 0
  if (!isNarrow && !isLimitedBeside(user, own, policy)) return undefined
  const message =
    'This access token is limited to some models, or in what it uses of them, and this request may lead to others: ' +
    'name them instead of a preset or a default.'
  return refuse('model_not_allowed', message)
}

/** Whether the user has a limit in another family, which an unknown model could evade. */
function isLimitedBeside(user: UserState, own: string, policy: Policy): boolean {
  const families = [...policy.families.map(({ name }) => name), ...(user.quotas?.keys() ?? [])]
  return families.some((family) => family !== own && isFamilyLimited(user, family, policy))
}

/**
 * Whether a name that no upstream lists may evade a limit: a name that only a catch-all matches may be another spelling
 * of any model; a name of a family without a limit may lead to a model that the catch-all's own limit is for.
 */
function isEvasive(
  user: UserState,
  family: string,
  { model, elsewhere }: NonNullable<AdmissionRequest['units']>,
  policy: Policy,
): boolean {
  const names = [model, ...(elsewhere?.models ?? []).map((other) => other.model)]
  if (names.some((name) => isCaughtAll(name, policy.families))) return true
  if (isFamilyLimited(user, family, policy)) return false
  return policy.families.some(
    ({ name, models }) =>
      name !== family && models.some(takesAnything) && isFamilyLimited(user, name, policy),
  )
}

function isFamilyLimited(user: UserState, family: string, policy: Policy): boolean {
  const limit = user.quotas?.get(family)?.limit ?? policy.limits[family] ?? UNLIMITED
  return limit !== UNLIMITED && user.type !== 'special'
}

/** Whether a user may see and ask for a model: it belongs to a family, and `allowedModels` does not exclude it. */
export function maySeeModel(limits: UserLimits, model: string, policy: Policy): boolean {
  const family = familyOf(model, policy.families)
  return (
    family !== undefined && mayUseModel(limits.allowedModels ?? policy.defaults.allowedModels, model, family)
  )
}

function decideRate(user: UserState, policy: Policy, now: number) {
  const limit = numberLimit(user, user.limits.requestsPerMinute, policy.defaults.requestsPerMinute)
  if (limit === undefined) return undefined
  const message = `This access token is limited to ${limit} requests per minute.`
  const facts: LimitFacts = { name: 'requestsPerMinute', limit, used: limit }
  if (limit === 0) return { ...refuse('rate_limited', message), limit: facts }
  const answer = takeRate(user.arrivalAt, limit, now)
  if (answer.kind === 'beyond') {
    const { retryAt, resetAt } = answer
    const view = { limit, remaining: 0, resetAt }
    return { ...refuse('rate_limited', message), retryAt, limit: { ...facts, resetAt }, rate: view }
  }
  const view: RateView = { limit, remaining: answer.remaining, resetAt: answer.resetAt }
  return { kind: 'within' as const, arrivalAt: answer.arrivalAt, view }
}

/** How soon to ask again after a refusal that only running requests caused: when one ends is not known. */
const soonMs = 1000

function whetherCrowded(user: UserState, policy: Policy, now: number): Refused | undefined {
  const limit = numberLimit(user, user.limits.concurrentRequests, policy.defaults.concurrentRequests)
  if (limit === undefined || user.openRequests < limit) return undefined
  const message = `This access token is limited to ${limit} requests at once.`
  const facts: LimitFacts = { name: 'concurrentRequests', limit, used: user.openRequests }
  const refused = { ...refuse('concurrency_limited', message), limit: facts }
  return limit === 0 ? refused : { ...refused, retryAt: now + soonMs }
}

/** The limit of a number that applies to this user; undefined where it is unlimited. */
function numberLimit(
  user: UserState,
  own: number | undefined,
  byDefault: number | undefined,
): number | undefined {
  const limit = own ?? byDefault ?? UNLIMITED
  return limit === UNLIMITED || user.type === 'special' ? undefined : limit
}

/**
 * With a limit the request has to fit. Without one it is never refused for its size, but it holds at most the bound of
 * a figure, and never so much that the sum of holds would saturate.
 */
function decideQuota(
  view: QuotaView,
  asked: NonNullable<AdmissionRequest['units']>,
  { output: policy, weightsOf }: Policy,
  now: number,
): Decision {
  const weights = weightsOf?.(view.family)?.held ?? plainWeights
  const admit = (hold: number, outputCap?: number, outputMost?: number): Admitted => {
    const quota = { ...view, reserved: addUnits(view.reserved, hold) }
    return { ...letIn, hold, outputCap, outputMost, quota }
  }
  const { limit } = view
  if (limit === undefined) {
    const wanted = heldFor(
      asked,
      toNeed(asked.output ?? policy.unstated * Math.max(1, asked.choices)),
      weights,
    )
    return admit(Math.max(0, Math.min(wanted, unitsMax, sumMax - view.reserved)))
  }
  // A quota may be overdrawn; a request that needs no units (counting tokens) is admitted all the same.
  const left = Math.max(0, limit - view.used - view.reserved)
  const need = needOf(asked, left, policy, weights)
  if (need.units <= Math.min(left, unitsMax)) {
    const admitted = admit(need.units, need.cap, need.most)
    if (!need.advisor) return admitted
    const { uses, output } = need.advisor
    return { ...admitted, advisorMost: { uses, output } }
  }
  const fitsInto = (room: number) => needOf(asked, room, policy, weights).units <= Math.min(room, unitsMax)
  return refuseQuota(view, { ...need, isStated: asked.output !== undefined }, fitsInto, now)
}

/** The quota is used up: not even one unit would fit. */
function refusePass(view: QuotaView, now: number): Refused {
  return refuseQuota(view, { units: 1, output: 0 }, (room) => room >= 1, now)
}

interface Needed {
  readonly units: number
  /** How much of it is output. */
  readonly output: number
  /** The request says how much output it asks for. */
  readonly isStated?: boolean
  /** The smallest bound of an answer that the provider accepts, where the need results from it. */
  readonly least?: number
  /** How much of it is for the advisor, where it has one. */
  readonly advisor?: { readonly units: number }
}

/** @param fitsInto whether the request would fit if this much were left */
function refuseQuota(
  view: QuotaView,
  { units: needed, output, isStated = true, least, advisor }: Needed,
  fitsInto: (left: number) => boolean,
  now: number,
): Refused {
  const { limit = 0, family, used, reserved, resetAt } = view
  // Only the holds of running requests are in the way: some of them are freed as soon as these end.
  const fitsSoon = reserved > 0 && fitsInto(limit - used)
  // Waiting for the next period helps only where the request fits into a whole one, without the units added for this
  // period.
  const fitsLater = Number.isFinite(resetAt) && fitsInto(limit - view.extra)
  const purpose = isStated
    ? `${output} of them for the output that it asks for`
    : `${output} of them for an answer`
  const ofOutput = output > 0 ? ` (${purpose})` : ''
  const held = reserved > 0 ? `, ${reserved} reserved by running requests` : ''
  const atLeast =
    least === undefined ? '' : ` The provider takes no bound below ${least} for an answer to this request.`
  const ofAdvisor =
    advisor === undefined
      ? ''
      : ` For one use of its advisor, which reads the conversation, ${advisor.units} of them are needed: ` +
        'remove the advisor from the tools, or lower max_tokens.'
  const reset = fitsLater ? ` It counts from zero at ${new Date(resetAt).toISOString()}.` : ''
  const message =
    `The ${family} quota does not allow this request: it needs up to ${needed} units${ofOutput}, ` +
    `${limit === 0 ? 'and its limit is 0' : `${used} of ${limit} are used${held}`}.${atLeast}${ofAdvisor}${reset}`
  const facts: LimitFacts = {
    name: 'quota',
    family,
    limit,
    used,
    reserved,
    needed,
    ...(output > 0 && { neededOutput: output }),
    ...(fitsLater && { resetAt }),
  }
  const refused = { ...refuse('quota_exceeded', message), quota: view, limit: facts }
  if (fitsSoon) return { ...refused, retryAt: now + soonMs }
  return fitsLater ? { ...refused, retryAt: resetAt } : refused
}
