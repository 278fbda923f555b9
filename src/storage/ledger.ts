import type { Decision, Policy, QuotaState, UserState } from '#core/admission.ts'
import { decideAdmission, isPlaceLimited, periodOf } from '#core/admission.ts'
import { placeOf } from '#core/network.ts'
import { type Usage, unitsOf } from '#core/usage.ts'
import type { UserLimits } from '#core/user.ts'
import type {
  AdmissionAsk,
  AdmissionOutcome,
  MeteringAnswer,
  MeteringBatch,
  Settlement,
  SettlementOutcome,
} from './store.ts'

/**
 * One batch of admissions and settlements over the state that a database has loaded and locked: settlements
 * first, so that what they free is there for the asks, then each ask in its turn against what the ones before
 * it left. It changes the loaded state in memory; whoever loaded it writes what changed, in one transaction.
 * Nothing here knows which database that is.
 */
export interface LoadedUser extends UserState {
  /** By family; one that was never used comes with the first question for it. */
  readonly quotas: Map<string, LoadedQuota>
  readonly places: Places
  openRequests: number
  arrivalAt?: number
  lastUsedAt: number | null
  promptCount: number
  isChanged: boolean
}

/** The places a user came from, read when they are first asked for; who is admitted in a batch adds to them. */
export type Places = () => Set<string>

export function createPlaces(addresses: () => readonly string[]): Places {
  let places: Set<string> | undefined
  return () => {
    places ??= new Set(addresses().map(placeOf))
    return places
  }
}

export interface LoadedQuota extends QuotaState {
  readonly family: string
  used: number
  reserved: number
  openRequests: number
  periodStartedAt: number
  isChanged: boolean
}

/** An entry that is still open. */
export interface OpenEntry {
  readonly id: string
  readonly userId: string
  readonly family: string
  readonly model: string
  readonly isMetered: boolean
  readonly hold: number
  readonly inputEstimate: number
  readonly startedAt: number
}

/** What a batch has to know; each answer is the same object for the same question throughout the batch. */
export interface LoadedState {
  /** The user whose access token it is. */
  readonly userOf: (accessToken: string) => LoadedUser | undefined
  readonly userById: (id: string) => LoadedUser | undefined
  /** The entry where it is open; `closed` where it was closed before. */
  readonly entryOf: (requestId: string) => OpenEntry | 'closed' | undefined
}

export interface NewEntry {
  readonly ask: AdmissionAsk
  readonly userId: string
  readonly family: string
  readonly model: string
  readonly hold: number
  readonly inputEstimate: number
}

export interface ClosedEntry {
  readonly entry: OpenEntry
  readonly settlement: Settlement
  readonly usage: Usage
  readonly units: number
  readonly endedAt: number
}

/** What the batch wrote into the ledger, beside the users and quotas marked as changed. */
export interface LedgerChanges {
  readonly opened: NewEntry[]
  readonly closed: ClosedEntry[]
  /** Who came from where; only of those who were admitted. */
  readonly seen: { readonly userId: string; readonly address: string }[]
}

/** What was decided, before it is on the disk. */
export type MeteringDecisions = Omit<MeteringAnswer, 'durable'>

export function applyBatch(
  batch: MeteringBatch,
  state: LoadedState,
  policy: Policy,
): { readonly decisions: MeteringDecisions; readonly changes: LedgerChanges } {
  const changes: LedgerChanges = { opened: [], closed: [], seen: [] }
  const done = new Set<string>()
  const settlements = batch.settlements.map((settlement) => {
    const outcome = done.has(settlement.requestId)
      ? 'repeated'
      : settle(settlement, state, policy, batch.now, changes)
    if (outcome === 'closed') done.add(settlement.requestId)
    return outcome
  })
  const asks = batch.asks.map((ask) => admit(ask, state, policy, batch.now, changes))
  return { decisions: { settlements, asks }, changes }
}

function admit(
  ask: AdmissionAsk,
  state: LoadedState,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): AdmissionOutcome {
  const user = state.userOf(ask.accessToken)
  const family = ask.units?.family
  const quota = user && family !== undefined ? quotaOf(user, family) : undefined
  const decision: Decision = decideAdmission(user, quota, ask, policy, now)
  const by = user && { id: user.id, type: user.type }
  if (decision.kind === 'refused' || !user) return { ...decision, user: by }
  changes.seen.push({ userId: user.id, address: ask.address })
  if (isPlaceLimited(user, policy)) user.places().add(placeOf(ask.address))
  if (!ask.units || !quota || family === undefined) return { ...decision, user: by }

  quota.reserved += decision.hold
  quota.openRequests += 1
  quota.isChanged = true
  user.openRequests += 1
  // The rest of the user is written when the request ends: one row less for every admission.
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

/**
 * Moves an entry's hold to what was really used. Guards nothing: what happened is booked, also beyond a limit
 * that was lowered meanwhile, and in the period in which it ends.
 */
function settle(
  settlement: Settlement,
  state: LoadedState,
  policy: Policy,
  now: number,
  changes: LedgerChanges,
): SettlementOutcome {
  const entry = state.entryOf(settlement.requestId)
  if (entry === undefined) return 'unknown'
  if (entry === 'closed') return 'repeated'
  const usage = usageOf(settlement, entry)
  const units = unitsOf(usage)
  const user = state.userById(entry.userId)
  let endedAt = now
  if (user) {
    const quota = quotaOf(user, entry.family)
    quota.reserved -= entry.hold
    quota.openRequests -= 1
    rollOver(quota, user.limits, policy, now)
    quota.used += units
    // A clock that was set back must not book into a period that the quota has left.
    endedAt = Math.max(now, quota.periodStartedAt)
    quota.isChanged = true
    user.openRequests -= 1
    user.lastUsedAt = Math.max(user.lastUsedAt ?? 0, entry.startedAt)
    if (settlement.ending !== 'released' && entry.isMetered) user.promptCount += 1
    user.isChanged = true
  }
  changes.closed.push({ entry, settlement, usage, units, endedAt })
  return 'closed'
}

function quotaOf(user: LoadedUser, family: string): LoadedQuota {
  const known = user.quotas.get(family)
  if (known) return known
  const made = { family, used: 0, reserved: 0, openRequests: 0, periodStartedAt: 0, isChanged: false }
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
      return settlement.usage
  }
}

/** A quota whose period is over counts from zero; what is reserved belongs to requests and stays. */
function rollOver(quota: LoadedQuota, limits: UserLimits, policy: Policy, now: number): void {
  const { startAt } = policy.periodAt(periodOf(limits, policy), now)
  if (quota.periodStartedAt >= startAt) return
  quota.used = 0
  quota.periodStartedAt = startAt
}
