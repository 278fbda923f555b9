import type { LimitFacts, LimitOwner } from './errors.ts'
import { type Family, familyOf } from './family.ts'
import type { LimitRefusal, UserLimits } from './limits.ts'
import { matchesName } from './model-name.ts'
import type { AdvisorMost, OutputAsked, OutputPolicy } from './output-need.ts'
import type { Period, PeriodBounds } from './period.ts'
import { addUnits } from './units.ts'
import { UNLIMITED, type UserType } from './user.ts'
import type { WeightsOf } from './weights.ts'

/**
 * What an admission is decided from and what the decision says: the configuration, the state of the user, the question
 * and the answer. The rules are in `admission/`; here is what other parts need of them, for a user's quotas and models.
 */

/** The operator's configuration, which applies where a user has no limit of their own. */
export interface Policy {
  readonly families: readonly Family[]
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  /** Models that the configuration names beside those of `families`; reports always show them. */
  readonly modelNames?: readonly string[]
  /** The configured upstreams; reports always show them. */
  readonly upstreamNames?: readonly string[]
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
  /** The same of the front end that a person asked through. */
  readonly frontEndArrivalAt?: number | undefined
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
  | 'person_unnamed'

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

export interface Refused {
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
  /** Of a request through a front end: whose limit it was. */
  readonly of?: LimitOwner
}

export type Decision = Admitted | Refused

export function refuse(code: RefusalCode, message: string): Refused {
  return { kind: 'refused', code, message }
}

export const letIn: Admitted = {
  kind: 'admitted',
  hold: 0,
  outputCap: undefined,
  outputMost: undefined,
  arrivalAt: undefined,
  quota: undefined,
  rate: undefined,
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

export function mayUseModel(allowed: readonly string[] | undefined, model: string, family: string): boolean {
  if (!allowed || allowed.length === 0) return true
  return allowed.some((glob) => glob === family || matchesName(glob, model))
}

/** Whether a user may see and ask for a model: it belongs to a family, and `allowedModels` does not exclude it. */
export function maySeeModel(limits: UserLimits, model: string, policy: Policy): boolean {
  const family = familyOf(model, policy.families)
  return (
    family !== undefined && mayUseModel(limits.allowedModels ?? policy.defaults.allowedModels, model, family)
  )
}
