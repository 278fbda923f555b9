import { isPlaceLimited, placesSince } from '#core/admission/blocks.ts'
import { decideAdmission } from '#core/admission/decide.ts'
import { type Decision, type Policy, periodOf, type QuotaState, type UserState } from '#core/admission.ts'
import type { AdmissionAsk, AdmissionOutcome, AdmittedUser } from '#core/admission-ask.ts'
import type { UserLimits } from '#core/limits.ts'
import { placeOf } from '#core/network.ts'
import type { Settlement, SettlementOutcome, UsageBeside } from '#core/settlement.ts'
import { addUnits, toCount, toUnits } from '#core/units.ts'
import { toBoundedUsage, type Usage } from '#core/usage.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { blockedFrom } from '#core/user.ts'
import { chargeOf, weighingOf } from '#core/weights.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import type { MeteringAnswer, MeteringBatch } from '#storage/store.ts'

/**
 * One batch of admissions and settlements, applied to the state that a database has loaded and locked. Settlements
 * come first, so that the asks can use what they free; then usage from elsewhere; then each ask in turn, against what
 * the ones before it left. The batch changes the loaded state in memory. Its caller writes the changes in one
 * transaction. Nothing here depends on the kind of database.
 */
export interface LoadedUser extends UserState {
  /** By what the engine finds the user's row: the id, or a number that leads there without an index. */
  readonly rowKey: string | number
  /** By family; the quota of a family that was never used is added with the first ask for it. */
  readonly quotas: Map<string, LoadedQuota>
  readonly places: Places
  readonly nickname?: string
  disabledAt?: number
  disabledReason?: string
  openRequests: number
  arrivalAt?: number
  lastUsedAt: number | null
  promptCount: number
  isChanged: boolean
  /** The batch itself disabled the user. */
  isBlocked: boolean
}

/** The places a user came from; read when first needed, and extended by the admissions of the batch. */
export type Places = (since: number) => Set<string>

export interface SeenAddress {
  readonly address: string
  readonly lastSeenAt: number
}

export function createPlaces(seen: () => readonly SeenAddress[]): Places {
  let places: Set<string> | undefined
  // A batch happens at one instant, so all its questions are about one window.
  return (since) => {
    places ??= new Set(seen().flatMap((one) => (one.lastSeenAt >= since ? [placeOf(one.address)] : [])))
    return places
  }
}

export interface LoadedQuota extends QuotaState {
  readonly family: string
  /** The quota has a stored row. */
  isStored: boolean
  extra: number
  used: number
  reserved: number
  openRequests: number
  periodStartedAt: number
  isChanged: boolean
}

/** An entry that may still be settled: it is open, or it was abandoned and can be corrected by a late settlement. */
export interface OpenEntry {
  readonly id: string
  readonly userId: string
  readonly family: string
  readonly model: string
  readonly isMetered: boolean
  readonly hold: number
  readonly inputEstimate: number
  readonly startedAt: number
  /** For an abandoned entry: what it was charged then, and when. */
  readonly charged?: { readonly units: number; readonly endedAt: number }
}

/** What a batch reads; the same question gets the same object throughout the batch. */
export interface LoadedState {
  /** The user with this access token. */
  readonly userOf: (accessToken: string) => LoadedUser | undefined
  readonly userById: (id: string) => LoadedUser | undefined
  /** The entry where it is open or was abandoned; `closed` where it was settled before. */
  readonly entryOf: (requestId: string) => OpenEntry | 'closed' | undefined
  /** Whether an event was counted before. */
  readonly hasEvent: (eventId: string) => boolean
}

export interface NewEntry {
  readonly ask: Pick<AdmissionAsk, 'requestId' | 'isMetered' | 'route' | 'leaseUntil'> & {
    readonly address?: string | undefined
  }
  readonly userId: string
  readonly family: string
  readonly model: string
  readonly hold: number
  readonly inputEstimate: number
  /** When it began, where that was earlier. */
  readonly startedAt?: number
}

export interface ClosedEntry {
  readonly entry: OpenEntry
  readonly settlement: Settlement
  readonly usage: Usage
  readonly units: number
  /** What weights add to the sum of `usage`, or take away from it. */
  readonly weighing: number
  readonly endedAt: number
}

export interface CountedEvent {
  readonly event: UsageEvent
  readonly usage: Usage
  readonly userId: string
  readonly units: number
  readonly weighing: number
  readonly endedAt: number
}

/** The usage of another family within one request, as an entry beside the request's own. */
export interface EntryBeside {
  readonly id: string
  readonly entry: OpenEntry
  readonly settlement: Settlement
  readonly beside: UsageBeside
  readonly usage: Usage
  readonly units: number
  readonly weighing: number
  readonly endedAt: number
}

/** A difference in a count that no request explains. */
export interface Adjustment {
  readonly id: string
  readonly userId: string
  readonly family: string
  readonly units: number
  readonly at: number
}

export interface Seen {
  readonly userId: string
  readonly address: string
  /** The place is not stored yet and counts towards a limit, so it has to be stored. */
  readonly isNewPlace: boolean
}

/** What the batch wrote into the ledger, beside the users and quotas marked as changed. */
export interface LedgerChanges {
  readonly opened: NewEntry[]
  readonly closed: ClosedEntry[]
  readonly beside: EntryBeside[]
  readonly counted: CountedEvent[]
  readonly adjusted: Adjustment[]
  /** The address of each admitted user. */
  readonly seen: Seen[]
}

/** The decisions, before they are on disk. */
export type MeteringDecisions = Omit<MeteringAnswer, 'durable'>

export function applyBatch(
  batch: MeteringBatch,
  state: LoadedState,
  policy: Policy,
): { readonly decisions: MeteringDecisions; readonly changes: LedgerChanges } {
  const changes: LedgerChanges = { opened: [], closed: [], beside: [], counted: [], adjusted: [], seen: [] }
  const done = new Set<string>()
  const settlements = batch.settlements.map((settlement) => {
    const outcome = done.has(settlement.requestId)
      ? 'repeated'
      : settle(settlement, state, policy, batch.now, changes)
    if (outcome === 'closed' || outcome === 'corrected') done.add(settlement.requestId)
    return outcome
  })
  const events = countAll(batch.events ?? noEvents, state, policy, batch.now, changes)
  const asks = batch.asks.map((ask) => admit(ask, state, policy, batch.now, changes))
  return { decisions: { settlements, events, asks }, changes }
}

const noEvents: readonly UsageEvent[] = []

/** The user that a question is about. */
function whose(
  ask: Pick<AdmissionAsk, 'accessToken' | 'userId'>,
  state: LoadedState,
): LoadedUser | undefined {
  if (ask.accessToken !== undefined) return state.userOf(ask.accessToken)
  return ask.userId === undefined ? undefined : state.userById(ask.userId)
}

function toAdmittedUser(user: LoadedUser): AdmittedUser {
  const { id, type, nickname, expiresAt } = user
  return { id, type, nickname, expiresAt, blockedFrom: blockedFrom(user) }
}

function admit(
  ask: AdmissionAsk,
  state: LoadedState,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): AdmissionOutcome {
  const user = whose(ask, state)
  const family = ask.units?.family ?? ask.pass?.family
  const quota = user && family !== undefined ? quotaOf(user, family) : undefined
  const decision: Decision = decideAdmission(user, quota, ask, policy, now)
  const by = user && toAdmittedUser(user)
  if (!user || ask.isDry) return { ...decision, user: by }
  if (decision.kind === 'refused') {
    if (decision.disables !== undefined) block(user, decision.disables, now)
    return { ...decision, user: by }
  }
  const { address } = ask
  if (address !== undefined) {
    changes.seen.push({ userId: user.id, address, isNewPlace: addPlace(user, address, policy, now) })
  }
  if (!ask.units || !quota || family === undefined) {
    if (decision.arrivalAt !== undefined) {
      user.arrivalAt = decision.arrivalAt
      user.isChanged = true
    }
    return { ...decision, user: by }
  }

  quota.reserved = addUnits(quota.reserved, decision.hold)
  quota.openRequests += 1
  quota.isChanged = true
  user.openRequests += 1
  // The user's other counters are written when the request ends: that saves one row per admission.
  if (decision.arrivalAt !== undefined) {
    user.arrivalAt = decision.arrivalAt
    user.isChanged = true
  }
  changes.opened.push({
    ask,
    userId: user.id,
    family,
    model: ask.units.model,
    hold: decision.hold,
    inputEstimate: ask.units.input,
  })
  return { ...decision, user: by }
}

/** Notes a user's address where the number of places is limited; answers whether it is a new place. */
function addPlace(user: LoadedUser, address: string, policy: Policy, now: number): boolean {
  if (!isPlaceLimited(user, policy)) return false
  const places = user.places(placesSince(user.limits, policy, now))
  const before = places.size
  return places.add(placeOf(address)).size > before
}

function block(user: LoadedUser, reason: string, now: number): void {
  user.disabledAt = now
  user.disabledReason = reason
  user.isBlocked = true
}

/**
 * Replaces an entry's reservation by what was really used. It checks no limit: usage that has happened is booked even
 * beyond a limit that was lowered meanwhile. It is booked in the period in which the request ends, by the weights of
 * now. A late settlement of an abandoned entry replaces the estimate that the entry was charged.
 */
function settle(
  settlement: Settlement,
  state: LoadedState,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): SettlementOutcome {
  const found = state.entryOf(settlement.requestId)
  if (found === 'closed') return 'repeated'
  const entry = found ?? openAgain(settlement, state, now, changes)
  if (entry === undefined) return 'unknown'
  const { charged } = entry
  if (charged && settlement.ending === 'abandoned') return 'repeated'
  const usage = usageOf(settlement, entry)
  const user = state.userById(entry.userId)
  const weights = policy.weightsOf?.(entry.family)
  let units = chargeOf(usage, weights)
  const weighing = weighingOf(usage, weights)
  let endedAt = now
  if (user) {
    const quota = quotaOf(user, entry.family)
    if (found && !charged) {
      quota.reserved = toCount(quota.reserved - entry.hold)
      quota.openRequests = toCount(quota.openRequests - 1)
      user.openRequests = toCount(user.openRequests - 1)
    }
    rollOver(quota, user.limits, policy, now)
    if (charged && charged.endedAt >= quota.periodStartedAt)
      takeBack(user.id, quota, charged.units, now, changes)
    units = charge(quota, units)
    // After a clock was set back, the booking must not fall into a period that the quota has left.
    endedAt = Math.max(now, quota.periodStartedAt)
    quota.isChanged = true
    user.lastUsedAt = Math.max(user.lastUsedAt ?? 0, entry.startedAt)
    // An abandoned request was counted as a prompt when it was abandoned.
    if (entry.isMetered) {
      const prompts = Number(settlement.ending !== 'released') - Number(Boolean(charged))
      user.promptCount = toUnits(user.promptCount + prompts)
    }
    user.isChanged = true
  }
  changes.closed.push({ entry, settlement, usage, units, weighing, endedAt })
  if (settlement.beside && settlement.ending === 'settled')
    bookBeside(entry, settlement, user, policy, now, changes)
  return charged ? 'corrected' : 'closed'
}

/**
 * Books what a request used of other families, each as an entry of its own. The request's entry is closed once, in
 * the same transaction, so these are booked once as well. The request still counts as one prompt and as one request
 * in reports.
 */
function bookBeside(
  entry: OpenEntry,
  settlement: Settlement,
  user: LoadedUser | undefined,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): void {
  for (const [index, beside] of (settlement.beside ?? []).entries()) {
    const id = `${entry.id}.${index + 1}`
    changes.beside.push({ id, entry, settlement, beside, ...chargeTo(user, beside, policy, now) })
  }
}

/**
 * Charges usage for which nothing was reserved to the quota of its family.
 *
 * @param user undefined where the user was removed: then the usage is booked and charged to no quota
 */
function chargeTo(
  user: LoadedUser | undefined,
  used: { readonly family: string; readonly usage: Usage },
  policy: Policy,
  now: number,
): { readonly usage: Usage; readonly units: number; readonly weighing: number; readonly endedAt: number } {
  const { family } = used
  const usage = toBoundedUsage(used.usage)
  const weights = policy.weightsOf?.(family)
  const units = chargeOf(usage, weights)
  const weighing = weighingOf(usage, weights)
  if (!user) return { usage, units, weighing, endedAt: now }
  const quota = quotaOf(user, family)
  rollOver(quota, user.limits, policy, now)
  quota.isChanged = true
  // After a clock was set back, the booking must not fall into a period that the quota has left.
  return { usage, units: charge(quota, units), weighing, endedAt: Math.max(now, quota.periodStartedAt) }
}

/** No relay runs longer, and no entry that began later has been removed. */
const lostMsMax = 86_400_000

/**
 * An entry that this process opened is gone: the database has lost its latest transactions and the reservation with
 * them. The entry is opened again to be closed at once. Nothing is booked where no admission is known, or where the
 * entry may have been removed since.
 */
function openAgain(
  { requestId, opened }: Settlement,
  state: LoadedState,
  now: number,
  changes: LedgerChanges,
): OpenEntry | undefined {
  if (!opened || opened.startedAt <= now - lostMsMax || !state.userById(opened.userId)) return undefined
  const { route, ...entry } = opened
  const ask = { requestId, route, isMetered: entry.isMetered }
  changes.opened.push({ ...entry, ask, hold: 0 })
  return { ...entry, id: requestId, hold: 0 }
}

/**
 * Takes an estimate out of `used` again. Where an administrator has already lowered the count meanwhile, taking it
 * out twice would give units away: the missing part is booked as an adjustment.
 */
function takeBack(
  userId: string,
  quota: LoadedQuota,
  units: number,
  now: number,
  changes: LedgerChanges,
): void {
  const missing = Math.max(0, units - quota.used)
  quota.used -= units - missing
  if (missing === 0) return
  const at = Math.max(now, quota.periodStartedAt)
  changes.adjusted.push({
    id: createSortableId('adj_', at),
    userId,
    family: quota.family,
    units: missing,
    at,
  })
}

/** Books usage reported from elsewhere, in the period in which it is reported. */
function countAll(
  events: readonly UsageEvent[],
  state: LoadedState,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): readonly UsageEventOutcome[] {
  const counted = new Set<string>()
  return events.map((event) => {
    if (counted.has(event.eventId) || state.hasEvent(event.eventId)) return 'repeated'
    const user = whose(event, state)
    if (!user) return 'unknown_user'
    counted.add(event.eventId)
    const charged = chargeTo(user, event, policy, now)
    user.promptCount = toUnits(user.promptCount + 1)
    user.lastUsedAt = Math.max(
      user.lastUsedAt ?? 0,
      event.happenedAt === undefined ? now : Math.min(now, event.happenedAt),
    )
    user.isChanged = true
    changes.counted.push({ event, userId: user.id, ...charged })
    return 'counted'
  })
}

function quotaOf(user: LoadedUser, family: string): LoadedQuota {
  const known = user.quotas.get(family)
  if (known) return known
  const made = {
    family,
    isStored: false,
    extra: 0,
    used: 0,
    reserved: 0,
    openRequests: 0,
    periodStartedAt: 0,
    isChanged: false,
  }
  user.quotas.set(family, made)
  return made
}

function usageOf(settlement: Settlement, entry: OpenEntry): Usage {
  const none = { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0 }
  switch (settlement.ending) {
    case 'released':
      return none
    case 'abandoned':
      return { ...none, input: entry.isMetered ? entry.inputEstimate : 0 }
    case 'settled':
      return toBoundedUsage(settlement.usage)
  }
}

/** Adds units to `used` and answers how many fitted below the bound, so that `used` stays the sum of its entries. */
function charge(quota: LoadedQuota, units: number): number {
  const before = quota.used
  quota.used = addUnits(before, units)
  return quota.used - before
}

/** A quota whose period is over counts from zero. Reservations belong to running requests and stay. */
function rollOver(quota: LoadedQuota, limits: UserLimits, policy: Policy, now: number): void {
  const { startAt } = policy.periodAt(periodOf(limits, policy), now)
  if (quota.periodStartedAt >= startAt) return
  quota.used = 0
  quota.extra = 0
  quota.periodStartedAt = startAt
}
