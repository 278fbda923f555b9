import type { UserLimits, UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { AdmissionAsk, Settlement } from '#storage/store.ts'

/**
 * The account as the design states it, without a counter: a list of requests and adjustments, and every figure
 * is a sum over it. It shares no code with the program, so that both must be wrong in the same way to agree.
 */
export interface ModelPolicy {
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  readonly outputDefault: number
  /** A zone without daylight saving: its offset to UTC in milliseconds is its whole calendar. */
  readonly offsetMs: number
}

export interface ModelEntry {
  readonly id: string
  readonly user: ModelUser
  readonly family: string
  readonly hold: number
  readonly input: number
  readonly isMetered: boolean
  readonly startedAt: number
  state: 'open' | 'settled' | 'released' | 'abandoned'
  units: number
  endedAt: number
}

export interface ModelUser {
  readonly accessToken: string
  type: UserType
  disabledAt: number | undefined
  expiresAt: number | undefined
  limits: UserLimits
  quotaLimits: Record<string, number>
  /** When all that was sent so far would have been sent at the allowed pace. */
  busyUntil: number
  promptCount: number
}

export type Prediction =
  | { readonly kind: 'admitted'; readonly hold: number; readonly outputCap: number | undefined }
  | { readonly kind: 'refused'; readonly code: string }

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]

export class AccountModel {
  readonly users = new Map<string, ModelUser>()
  readonly entries = new Map<string, ModelEntry>()
  readonly #policy: ModelPolicy

  constructor(policy: ModelPolicy) {
    this.#policy = policy
  }

  addUser(accessToken: string): ModelUser {
    const user: ModelUser = {
      accessToken,
      type: 'normal',
      disabledAt: undefined,
      expiresAt: undefined,
      limits: {},
      quotaLimits: {},
      busyUntil: 0,
      promptCount: 0,
    }
    this.users.set(accessToken, user)
    return user
  }

  entriesOf(user: ModelUser, family?: string): ModelEntry[] {
    return [...this.entries.values()].filter(
      (entry) => entry.user === user && (family === undefined || entry.family === family),
    )
  }

  openEntries(user?: ModelUser): ModelEntry[] {
    return [...this.entries.values()].filter(
      (entry) => entry.state === 'open' && (user === undefined || entry.user === user),
    )
  }

  used(user: ModelUser, family: string, now: number): number {
    const from = this.periodStart(user, now)
    const closed = this.entriesOf(user, family).filter(
      ({ state, endedAt }) => state !== 'open' && endedAt >= from,
    )
    return closed.reduce((sum, { units }) => sum + units, 0)
  }

  reserved(user: ModelUser, family: string): number {
    return this.openEntries(user).reduce((sum, entry) => sum + (entry.family === family ? entry.hold : 0), 0)
  }

  /** Undefined where none holds. */
  quotaLimit(user: ModelUser, family: string): number | undefined {
    return this.#applies(user, user.quotaLimits[family] ?? this.#policy.limits[family])
  }

  /** The first instant of the period that `now` lies in, by calendar arithmetic on the wall clock. */
  periodStart(user: Pick<ModelUser, 'limits'>, now: number): number {
    const wall = now + this.#policy.offsetMs
    const day = Math.floor(wall / dayMs) * dayMs
    const date = new Date(wall)
    const starts = {
      none: Number.NEGATIVE_INFINITY,
      hourly: Math.floor(wall / hourMs) * hourMs,
      daily: day,
      // 1970 began on a Thursday.
      weekly: day - ((day / dayMs + 3) % 7) * dayMs,
      monthly: Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1),
    }
    return starts[user.limits.period ?? this.#policy.defaults.period ?? 'none'] - this.#policy.offsetMs
  }

  predict(ask: AdmissionAsk, now: number): Prediction {
    const user = this.users.get(ask.accessToken)
    const refuse = (code: string): Prediction => ({ kind: 'refused', code })
    if (!user) return refuse('unknown_access_token')
    if (user.disabledAt !== undefined && user.disabledAt <= now) return refuse('user_disabled')
    if (user.expiresAt !== undefined && user.expiresAt <= now) return refuse('user_expired')
    if (user.limits.allowedNetworks?.includes(`${ask.address}/32`) === false)
      return refuse('address_not_allowed')
    const { units } = ask
    if (!units) return { kind: 'admitted', hold: 0, outputCap: undefined }
    if (units.family === undefined) return refuse('model_not_served')
    if (user.limits.allowedModels?.includes(units.family) === false) return refuse('model_not_allowed')
    if (this.#nextBusyUntil(user, now) > now + minuteMs) return refuse('rate_limited')
    const atOnce = this.#applies(
      user,
      user.limits.concurrentRequests ?? this.#policy.defaults.concurrentRequests,
    )
    if (atOnce !== undefined && this.openEntries(user).length >= atOnce) return refuse('concurrency_limited')
    return this.#predictQuota(user, units.family, units, now) ?? refuse('quota_exceeded')
  }

  /** Undefined where it does not fit. */
  #predictQuota(
    user: ModelUser,
    family: string,
    { input, output, choices }: NonNullable<AdmissionAsk['units']>,
    now: number,
  ): Prediction | undefined {
    const { outputDefault } = this.#policy
    const limit = this.quotaLimit(user, family)
    if (limit === undefined) {
      return { kind: 'admitted', hold: input + (output ?? outputDefault * choices), outputCap: undefined }
    }
    const left = limit - this.used(user, family, now) - this.reserved(user, family)
    if (output !== undefined) {
      return input + output <= left
        ? { kind: 'admitted', hold: input + output, outputCap: undefined }
        : undefined
    }
    // The largest whole cap up to the default with which all answers fit; none means that nothing fits.
    const outputCap = Math.min(outputDefault, Math.floor((left - input) / choices))
    return outputCap >= 1 ? { kind: 'admitted', hold: input + outputCap * choices, outputCap } : undefined
  }

  /** What the program was asked, and admitted. */
  admit(ask: AdmissionAsk, hold: number, now: number): void {
    const user = this.users.get(ask.accessToken)
    if (!user || ask.units?.family === undefined) return
    if (this.#perMinute(user) !== undefined) user.busyUntil = this.#nextBusyUntil(user, now)
    this.entries.set(ask.requestId, {
      id: ask.requestId,
      user,
      family: ask.units.family,
      hold,
      input: ask.units.input,
      isMetered: ask.isMetered,
      startedAt: now,
      state: 'open',
      units: 0,
      endedAt: 0,
    })
  }

  settle({ requestId, ending, usage }: Settlement, now: number): 'closed' | 'repeated' | 'unknown' {
    const entry = this.entries.get(requestId)
    if (!entry) return 'unknown'
    if (entry.state !== 'open') return 'repeated'
    const stated = usage.input + usage.cacheRead + usage.cacheWritten + usage.output + usage.reasoning
    const units = { settled: stated, released: 0, abandoned: entry.isMetered ? entry.input : 0 }
    Object.assign(entry, { state: ending, units: units[ending], endedAt: now })
    if (entry.isMetered && ending !== 'released') entry.user.promptCount += 1
    return 'closed'
  }

  edit(user: ModelUser, edit: UserEdit, now: number): void {
    const { type, disabledAt, expiresAt, promptCount } = edit
    if (type !== undefined) user.type = type
    if (disabledAt !== undefined) user.disabledAt = disabledAt ?? undefined
    if (expiresAt !== undefined) user.expiresAt = expiresAt ?? undefined
    if (promptCount !== undefined) user.promptCount = promptCount
    user.limits = withoutNull({ ...user.limits, ...edit.limits })
    user.quotaLimits = withoutNull({ ...user.quotaLimits, ...edit.quotaLimits })
    for (const [family, used] of Object.entries(edit.quotaUsed ?? {})) this.#adjust(user, family, used, now)
  }

  #adjust(user: ModelUser, family: string, used: number, now: number): void {
    const id = `adjustment ${this.entries.size}`
    const units = used - this.used(user, family, now)
    const none = { hold: 0, input: 0, isMetered: false, startedAt: now }
    this.entries.set(id, { id, user, family, ...none, state: 'settled', units, endedAt: now })
  }

  #perMinute(user: ModelUser): number | undefined {
    return this.#applies(user, user.limits.requestsPerMinute ?? this.#policy.defaults.requestsPerMinute)
  }

  #nextBusyUntil(user: ModelUser, now: number): number {
    const perMinute = this.#perMinute(user)
    if (perMinute === undefined) return now
    if (perMinute === 0) return Number.POSITIVE_INFINITY
    // Nobody gets further ahead than a minute: what looks like it was left by a clock that was set back.
    const from = user.busyUntil > now + minuteMs ? now : Math.max(user.busyUntil, now)
    return from + minuteMs / perMinute
  }

  #applies(user: ModelUser, limit: number | undefined): number | undefined {
    return limit === undefined || limit === -1 || user.type === 'special' ? undefined : limit
  }
}

function withoutNull<T extends object>(values: T): { [Key in keyof T]: Exclude<T[Key], null | undefined> } {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(kept) as { [Key in keyof T]: Exclude<T[Key], null | undefined> }
}
