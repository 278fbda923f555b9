import type { AdmissionAsk } from '#core/admission-ask.ts'
import type { UserLimits } from '#core/limits.ts'
import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import { noUsage, type Usage } from '#core/usage.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import type { UserType } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { QuotaAdded } from '#storage/store/users.ts'

/**
 * The account as the design states it, without a counter: a list of requests and adjustments, and every figure
 * is a sum over it. It shares no code with the program, so that both must be wrong in the same way to agree.
 */
export interface ModelPolicy {
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  readonly output: {
    readonly floor: number
    readonly share: number
    readonly unstated: number
    readonly least: number
  }
  /** A zone without daylight saving: its offset to UTC in milliseconds is its whole calendar. */
  readonly offsetMs: number
}

/** How much a unit of each kind counts, in thousandths; of a family, or of all where it has none of its own. */
export type ModelWeights = Readonly<
  Record<string, Readonly<Record<'input' | 'cacheRead' | 'cacheWritten' | 'output', number>>>
>

const plain = { input: 1000, cacheRead: 1000, cacheWritten: 1000, output: 1000 }

export interface ModelEntry {
  readonly id: string
  readonly user: ModelUser
  readonly family: string
  readonly hold: number
  readonly input: number
  readonly isMetered: boolean
  readonly startedAt: number
  /** Set where the entry is nobody's but a lease's. */
  leaseUntil: number | undefined
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
  disabledReason: string | undefined
  quotaLimits: Record<string, number>
  /** What was added to a family's limit, and the period it was added in. */
  extras: Record<string, { readonly units: number; readonly startAt: number }>
  /** When somebody was last admitted from each place. */
  readonly places: Map<string, number>
  /** When all that was sent so far would have been sent at the allowed pace. */
  busyUntil: number
  promptCount: number
}

export type Prediction =
  | { readonly kind: 'admitted'; readonly hold: number; readonly outputCap: number | undefined }
  | { readonly kind: 'refused'; readonly code: string }
  /** An address is noted at most once a minute, so at the edge of its window both may be right. */
  | { readonly kind: 'either'; readonly codes: readonly [string, string] }

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]

/** Of the addresses in the histories two belong to one IPv6 network, and so to one client. */
export function placeOf(address: string): string {
  return address.startsWith('2001:db8:1:1:') ? '2001:db8:1:1' : address
}

export class AccountModel {
  readonly users = new Map<string, ModelUser>()
  readonly entries = new Map<string, ModelEntry>()
  readonly events = new Set<string>()
  /** As configured now. */
  weights: ModelWeights = {}
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
      disabledReason: undefined,
      limits: {},
      quotaLimits: {},
      extras: {},
      places: new Map(),
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

  /** With what was added for this period; undefined where none holds. */
  quotaLimit(user: ModelUser, family: string, now: number): number | undefined {
    const limit = this.#applies(user, user.quotaLimits[family] ?? this.#policy.limits[family])
    return limit === undefined ? undefined : limit + this.extra(user, family, now)
  }

  extra(user: ModelUser, family: string, now: number): number {
    const added = user.extras[family]
    return added && added.startAt >= this.periodStart(user, now) ? added.units : 0
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

  userOf({ accessToken = '' }: AdmissionAsk): ModelUser | undefined {
    return this.users.get(accessToken)
  }

  predict(ask: AdmissionAsk, now: number): Prediction {
    const user = this.userOf(ask)
    const refuse = (code: string): Prediction => ({ kind: 'refused', code })
    if (!user) return refuse('unknown_access_token')
    if (user.disabledAt !== undefined && user.disabledAt <= now) return refuse('user_disabled')
    if (user.expiresAt !== undefined && user.expiresAt <= now) return refuse('user_expired')
    if (user.limits.allowedNetworks?.includes(`${ask.address}/32`) === false)
      return refuse('address_not_allowed')
    const elsewhere = this.#isElsewhere(user, ask.address ?? '', now)
    if (elsewhere === true) return refuse('address_limit')
    const rest = this.#predictRest(user, ask, now)
    if (elsewhere === false) return rest
    return { kind: 'either', codes: ['address_limit', rest.kind === 'refused' ? rest.code : rest.kind] }
  }

  /** Whether this address is one too many; undefined where that hangs on the last minute. */
  #isElsewhere(user: ModelUser, address: string, now: number): boolean | undefined {
    const limit = this.#applies(user, user.limits.maxIps)
    if (limit === undefined) return false
    const { ipWindowDays = -1 } = user.limits
    const since = ipWindowDays === -1 ? Number.NEGATIVE_INFINITY : now - ipWindowDays * dayMs
    const seenSince = (at: number) =>
      [...user.places].filter((place) => place[1] >= at).map(([place]) => place)
    const isBeyond = (places: readonly string[]) =>
      !places.includes(placeOf(address)) && places.length >= limit
    // Where a place may be forgotten or not, its own return and another's room are both in doubt.
    const [most, least] = [seenSince(since), seenSince(since + minuteMs)]
    if (most.length !== least.length) return undefined
    return isBeyond(most)
  }

  #predictRest(user: ModelUser, ask: AdmissionAsk, now: number): Prediction {
    const refuse = (code: string): Prediction => ({ kind: 'refused', code })
    const { units } = ask
    const asked = units ?? ask.pass
    if (!asked) return { kind: 'admitted', hold: 0, outputCap: undefined }
    if (asked.family === undefined) return refuse('model_not_served')
    if (user.limits.allowedModels?.includes(asked.family) === false) return refuse('model_not_allowed')
    if (this.#nextBusyUntil(user, now) > now + minuteMs) return refuse('rate_limited')
    const atOnce = this.#applies(
      user,
      user.limits.concurrentRequests ?? this.#policy.defaults.concurrentRequests,
    )
    if (atOnce !== undefined && this.openEntries(user).length >= atOnce) return refuse('concurrency_limited')
    if (units) return this.#predictQuota(user, asked.family, units, now) ?? refuse('quota_exceeded')
    const limit = this.quotaLimit(user, asked.family, now) ?? Number.POSITIVE_INFINITY
    const taken = this.used(user, asked.family, now) + this.reserved(user, asked.family)
    return taken < limit ? { kind: 'admitted', hold: 0, outputCap: undefined } : refuse('quota_exceeded')
  }

  /** Undefined where it does not fit. */
  #predictQuota(
    user: ModelUser,
    family: string,
    asked: NonNullable<AdmissionAsk['units']>,
    now: number,
  ): Prediction | undefined {
    const { output, choices } = asked
    const { unstated } = this.#policy.output
    const limit = this.quotaLimit(user, family, now)
    const holdOf = (most: number) => this.#holdOf(family, asked.input, most)
    if (limit === undefined)
      return { kind: 'admitted', hold: holdOf(output ?? unstated * choices), outputCap: undefined }
    const left = Math.max(0, limit - this.used(user, family, now) - this.reserved(user, family))
    if (output !== undefined && !asked.mayLower) {
      return holdOf(output) <= left
        ? { kind: 'admitted', hold: holdOf(output), outputCap: undefined }
        : undefined
    }
    const each = output === undefined ? undefined : Math.floor(output / choices)
    const cap = this.#capOf(family, asked, each, left)
    const hold = holdOf(cap * choices)
    if (hold > left) return undefined
    return { kind: 'admitted', hold, outputCap: cap === each ? undefined : cap }
  }

  /** The largest whole bound of an answer that the rules allow, found by trying; where none does, the least one. */
  #capOf(
    family: string,
    { input, choices, leastCap = 1 }: NonNullable<AdmissionAsk['units']>,
    each: number | undefined,
    left: number,
  ): number {
    const { floor, share, unstated, least } = this.#policy.output
    const fits = (cap: number) => this.#holdOf(family, input, cap * choices) <= left
    const ofOutput = this.#weightsOf(family).output
    const isFair = (cap: number) => cap <= floor || cap * choices * ofOutput <= left * share * 1000
    if (each === undefined) {
      let cap = unstated
      while (cap > 0 && !(fits(cap) && isFair(cap))) cap -= 1
      return Math.max(cap, leastCap, Math.min(least, unstated))
    }
    let cap = each
    while (cap > Math.max(floor, leastCap) && !(fits(cap) && isFair(cap))) cap -= 1
    return cap
  }

  #weightsOf(family: string) {
    return this.weights[family] ?? this.weights.all ?? plain
  }

  /** Input counts as its dearest kind, since which it will be is not known yet. */
  #holdOf(family: string, input: number, output: number): number {
    const weights = this.#weightsOf(family)
    const ofInput = Math.max(weights.input, weights.cacheRead, weights.cacheWritten)
    return Math.ceil((input * ofInput + output * weights.output) / 1000)
  }

  #chargeOf(family: string, usage: Usage): number {
    const { input, cacheRead, cacheWritten, output } = this.#weightsOf(family)
    const ofInput = usage.input * input + usage.cacheRead * cacheRead + usage.cacheWritten * cacheWritten
    return Math.ceil((ofInput + (usage.output + usage.reasoning) * output) / 1000)
  }

  /** What the program was asked, and admitted. */
  admit(ask: AdmissionAsk, hold: number, now: number): void {
    const user = this.userOf(ask)
    if (!user || ask.isDry) return
    if (ask.address !== undefined) user.places.set(placeOf(ask.address), now)
    const asked = ask.units ?? ask.pass
    if (asked && this.#perMinute(user) !== undefined) user.busyUntil = this.#nextBusyUntil(user, now)
    if (ask.units?.family === undefined) return
    this.entries.set(ask.requestId, {
      id: ask.requestId,
      user,
      family: ask.units.family,
      hold,
      input: ask.units.input,
      isMetered: ask.isMetered,
      startedAt: now,
      leaseUntil: ask.leaseUntil,
      state: 'open',
      units: 0,
      endedAt: 0,
    })
  }

  /** Who was refused for the address may lose more than the request. */
  refuse(ask: AdmissionAsk, code: string, now: number): void {
    const user = this.userOf(ask)
    if (!user || ask.isDry || code !== 'address_limit' || user.limits.ipLimitAction !== 'disable') return
    user.disabledAt = now
    user.disabledReason = 'IP address limit exceeded'
  }

  count(
    { eventId, userId, family, usage, requestId }: UsageEvent,
    users: ReadonlyMap<string, ModelUser>,
    now: number,
  ): UsageEventOutcome {
    if (this.events.has(eventId)) return 'repeated'
    const user = users.get(userId ?? '')
    if (!user) return 'unknown_user'
    this.events.add(eventId)
    const units = this.#chargeOf(family, usage)
    const entry = { hold: 0, input: 0, isMetered: true, startedAt: now, endedAt: now, leaseUntil: undefined }
    this.entries.set(requestId, { id: requestId, user, family, ...entry, state: 'settled', units })
    user.promptCount += 1
    return 'counted'
  }

  settle({ requestId, ending, usage, beside = [] }: Settlement, now: number): SettlementOutcome {
    const entry = this.entries.get(requestId)
    if (!entry) return 'unknown'
    const wasAbandoned = entry.state === 'abandoned'
    if (entry.state !== 'open' && (!wasAbandoned || ending === 'abandoned')) return 'repeated'
    if (wasAbandoned) {
      // Units that an administrator has counted out already are not given back a second time.
      const { user, family } = entry
      const isCurrent = entry.endedAt >= this.periodStart(user, now)
      const left = this.used(user, family, now) - (isCurrent ? entry.units : 0)
      if (isCurrent && left < 0) this.#book(user, family, -left, now)
    }
    const guessed = { ...noUsage, input: entry.isMetered ? entry.input : 0 }
    const units = {
      settled: this.#chargeOf(entry.family, usage),
      released: 0,
      abandoned: this.#chargeOf(entry.family, guessed),
    }
    for (const [index, { family, usage: used }] of (ending === 'settled' ? beside : []).entries()) {
      const id = `${requestId}.${index + 1}`
      const figures = {
        hold: 0,
        input: 0,
        isMetered: true,
        leaseUntil: undefined,
        units: this.#chargeOf(family, used),
      }
      const { user, startedAt } = entry
      this.entries.set(id, { id, user, family, startedAt, ...figures, state: 'settled', endedAt: now })
    }
    Object.assign(entry, { state: ending, units: units[ending], endedAt: now })
    if (entry.isMetered && ending !== 'released') entry.user.promptCount += 1
    if (entry.isMetered && wasAbandoned) entry.user.promptCount -= 1
    return wasAbandoned ? 'corrected' : 'closed'
  }

  add(user: ModelUser, family: string, units: number, now: number): QuotaAdded['kind'] {
    if (this.quotaLimit(user, family, now) === undefined) return 'unlimited'
    const sum = this.extra(user, family, now) + units
    if (sum < 0) return 'invalid'
    if (units !== 0) user.extras[family] = { units: sum, startAt: this.periodStart(user, now) }
    return 'added'
  }

  edit(user: ModelUser, edit: UserEdit, now: number): void {
    const { type, disabledAt, expiresAt, promptCount } = edit
    if (type !== undefined) user.type = type
    if (disabledAt !== undefined) user.disabledAt = disabledAt ?? undefined
    if (disabledAt === null) user.disabledReason = undefined
    if (expiresAt !== undefined) user.expiresAt = expiresAt ?? undefined
    if (promptCount !== undefined) user.promptCount = promptCount
    const extras = Object.keys(user.extras).map((family) => [family, this.extra(user, family, now)] as const)
    const periodBefore = user.limits.period ?? this.#policy.defaults.period
    user.limits = withoutNull({ ...user.limits, ...edit.limits })
    if ((user.limits.period ?? this.#policy.defaults.period ?? 'none') !== (periodBefore ?? 'none')) {
      // What was added stays with the user until the new period ends; a count below zero makes no sense in it.
      const startAt = this.periodStart(user, now)
      user.extras = Object.fromEntries(extras.map(([family, units]) => [family, { units, startAt }]))
      for (const family of new Set(this.entriesOf(user).map((entry) => entry.family))) {
        const used = this.used(user, family, now)
        if (used < 0) this.#book(user, family, -used, now)
      }
    }
    user.quotaLimits = withoutNull({ ...user.quotaLimits, ...edit.quotaLimits })
    const reset =
      edit.quotaReset === 'all' ? this.entriesOf(user).map(({ family }) => family) : edit.quotaReset
    for (const family of new Set(reset ?? [])) this.#adjust(user, family, 0, now)
    for (const [family, used] of Object.entries(edit.quotaUsed ?? {})) this.#adjust(user, family, used, now)
  }

  #adjust(user: ModelUser, family: string, used: number, now: number): void {
    this.#book(user, family, used - this.used(user, family, now), now)
  }

  #book(user: ModelUser, family: string, units: number, now: number): void {
    const id = `adjustment ${this.entries.size}`
    const none = { hold: 0, input: 0, isMetered: false, startedAt: now, leaseUntil: undefined }
    this.entries.set(id, { id, user, family, ...none, state: 'settled', units, endedAt: now })
  }

  #perMinute(user: ModelUser): number | undefined {
    return this.#applies(user, user.limits.requestsPerMinute ?? this.#policy.defaults.requestsPerMinute)
  }

  #nextBusyUntil(user: ModelUser, now: number): number {
    const perMinute = this.#perMinute(user)
    if (perMinute === undefined) return now
    if (perMinute === 0) return Number.POSITIVE_INFINITY
    // Nobody gets further ahead than a minute, and clocks may differ by another one: what is beyond was left by a
    // clock that was set back.
    const from = user.busyUntil > now + 2 * minuteMs ? now : Math.max(user.busyUntil, now)
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
