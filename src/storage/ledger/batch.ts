import { isPlaceLimited, placesSince } from '#core/admission/blocks.ts'
import { decideAdmission } from '#core/admission/decide.ts'
import type { Decision, Policy } from '#core/admission.ts'
import type { AdmissionAsk, AdmissionOutcome, AdmittedUser } from '#core/admission-ask.ts'
import type { NewChange } from '#core/change.ts'
import { placeOf } from '#core/network.ts'
import { addUnits, toUnits } from '#core/units.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { blockedFrom } from '#core/user.ts'
import { quotaOf } from '#storage/quotas/account.ts'
import type { MeteringAnswer, MeteringBatch } from '#storage/store/metering.ts'
import { type LedgerChanges, noChanges } from './changes.ts'
import { type BatchRun, chargeTo } from './charge.ts'
import { settle } from './settle.ts'
import type { LoadedState, LoadedUser } from './state.ts'

/** The decisions, before they are on disk. */
export type MeteringDecisions = Omit<MeteringAnswer, 'durable'>

/**
 * One batch of admissions and settlements, applied to the state that a database has loaded and locked. Settlements
 * come first, so that the asks can use what they free; then usage from elsewhere; then each ask in turn, against what
 * the ones before it left. The batch changes the loaded state in memory. Its caller writes the changes in one
 * transaction. Nothing here depends on the kind of database.
 */
export function applyBatch(
  batch: MeteringBatch,
  state: LoadedState,
  policy: Policy,
): { readonly decisions: MeteringDecisions; readonly changes: LedgerChanges } {
  const { now } = batch
  const changes = noChanges()
  const run: BatchRun = { state, policy, now, changes }
  const done = new Set<string>()
  const settlements = batch.settlements.map((settlement) => {
    const outcome = done.has(settlement.requestId) ? 'repeated' : settle(settlement, run)
    if (outcome === 'closed' || outcome === 'corrected') done.add(settlement.requestId)
    return outcome
  })
  const events = countAll(batch.events ?? noEvents, run)
  const asks = batch.asks.map((ask) => admit(ask, run))
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

function toAdmittedUser(
  user: LoadedUser,
  { accessToken }: Pick<AdmissionAsk, 'accessToken'>,
  state: LoadedState,
): AdmittedUser {
  const { id, type, nickname, expiresAt } = user
  const admitted = { id, type, nickname, expiresAt, blockedFrom: blockedFrom(user) }
  const tokenUntil = accessToken === undefined ? undefined : state.oldUntilOf(accessToken)
  return tokenUntil === undefined ? admitted : { ...admitted, tokenUntil }
}

function admit(ask: AdmissionAsk, { state, policy, now, changes }: BatchRun): AdmissionOutcome {
  const user = whose(ask, state)
  const family = ask.units?.family ?? ask.pass?.family
  const quota = user && family !== undefined ? quotaOf(user.quotas, family) : undefined
  const decision: Decision = decideAdmission(user, quota, ask, policy, now)
  const by = user && toAdmittedUser(user, ask, state)
  if (!user || ask.isDry) return { ...decision, user: by }
  if (decision.kind === 'refused') {
    if (decision.disables !== undefined) changes.blocked.push(block(user, decision.disables, ask, now))
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

function block(user: LoadedUser, reason: string, ask: AdmissionAsk, now: number): NewChange {
  const { id, disabledAt = null, disabledReason = null } = user
  user.disabledAt = now
  user.disabledReason = reason
  user.isBlocked = true
  const { requestId, address } = ask
  return {
    by: { now, actor: { kind: 'limit', name: reason }, requestId, ...(address !== undefined && { address }) },
    kind: 'user.disabled',
    object: id,
    before: { disabledAt, disabledReason },
    after: { disabledAt: now, disabledReason: reason },
  }
}

/** Books usage reported from elsewhere, in the period in which it is reported. */
function countAll(events: readonly UsageEvent[], run: BatchRun): readonly UsageEventOutcome[] {
  const { state, now, changes } = run
  const counted = new Set<string>()
  return events.map((event) => {
    if (counted.has(event.eventId) || state.hasEvent(event.eventId)) return 'repeated'
    const user = whose(event, state)
    if (!user) return 'unknown_user'
    counted.add(event.eventId)
    const charged = chargeTo(user, event, run)
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
