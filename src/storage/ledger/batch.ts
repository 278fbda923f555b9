import { isPlaceLimited, placesSince, whetherBlocked } from '#core/admission/blocks.ts'
import { decideAdmission } from '#core/admission/decide.ts'
import { decideThrough, refusedByFrontEnd } from '#core/admission/through.ts'
import { type Admitted, type Decision, type Policy, refuse } from '#core/admission.ts'
import type { AdmissionAsk, AdmissionOutcome, AdmittedUser } from '#core/admission-ask.ts'
import type { NewChange } from '#core/change.ts'
import { placeOf } from '#core/network.ts'
import { addUnits, toUnits } from '#core/units.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { blockedFrom } from '#core/user.ts'
import { type LoadedQuota, quotaOf } from '#storage/quotas/account.ts'
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

function admit(ask: AdmissionAsk, run: BatchRun): AdmissionOutcome {
  const { state, policy, now, changes } = run
  const user = whose(ask, state)
  if (user?.frontEnd !== undefined && ask.person !== undefined) {
    const outcome = admitPerson(user, ask, run)
    if (outcome) return outcome
  }
  const family = ask.units?.family ?? ask.pass?.family
  const quota = user && family !== undefined ? quotaOf(user.quotas, family) : undefined
  const decision: Decision = decideAdmission(user, quota, ask, policy, now)
  const by = user && toAdmittedUser(user, ask, state)
  if (!user || ask.isDry) return { ...decision, user: by }
  if (decision.kind === 'refused') {
    if (decision.disables !== undefined) changes.blocked.push(block(user, decision.disables, ask, now))
    return { ...decision, user: by }
  }
  see(user, ask, run)
  if (!ask.units || !quota || family === undefined) {
    if (decision.arrivalAt !== undefined) {
      user.arrivalAt = decision.arrivalAt
      user.isChanged = true
    }
    return { ...decision, user: by }
  }

  reserve(user, quota, decision.hold, decision.arrivalAt)
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
 * Admits the person whom a front end asks for: both reserve, or neither. Undefined where the request names no person
 * and may, so that it is the front end's own.
 */
function admitPerson(frontEnd: LoadedUser, ask: AdmissionAsk, run: BatchRun): AdmissionOutcome | undefined {
  const { state, policy, now, changes } = run
  const { units, person } = ask
  const through = toAdmittedUser(frontEnd, ask, state)
  const version = frontEnd.frontEnd ?? ''
  const isRead = typeof person === 'object' && person.version === version && person.frontEndId === frontEnd.id
  if (isRead && person.userId === undefined) return undefined
  const user = isRead && person.userId !== undefined ? state.userById(person.userId) : undefined
  if (!user || !units) {
    const blocked = whetherBlocked(frontEnd, ask.address, policy, now)
    if (blocked && blocked.disables === undefined) return { ...refusedByFrontEnd(blocked), user: through }
    const unread = { frontEndId: frontEnd.id, version }
    return { ...refuse('person_unnamed', 'The person was not read.'), user: through, unread }
  }
  const { family = '' } = units
  const [shared, own] = [quotaOf(frontEnd.quotas, family), quotaOf(user.quotas, family)]
  const accounts = [
    { user: frontEnd, quota: shared },
    { user, quota: own },
  ] as const
  const { address } = ask
  const decision = decideThrough(...accounts, { address, units }, policy, now)
  if (decision.kind === 'refused') {
    if (decision.disables !== undefined) changes.blocked.push(block(frontEnd, decision.disables, ask, now))
    const isOfPerson = decision.of === 'person'
    return { ...decision, user: isOfPerson ? toAdmittedUser(user, noToken, state) : through }
  }
  see(frontEnd, ask, run)
  const { hold, arrivalAt, frontEndArrivalAt } = decision
  reserve(user, own, hold, arrivalAt)
  reserve(frontEnd, shared, hold, frontEndArrivalAt)
  changes.opened.push({
    ...{ ask, userId: user.id, frontEndId: frontEnd.id, family, model: units.model, hold },
    inputEstimate: units.input,
  })
  return { ...decision, user: toAdmittedUser(user, noToken, state), through }
}

/** A person has shown no access token. */
const noToken = {}

function reserve(user: LoadedUser, quota: LoadedQuota, hold: number, arrivalAt: Admitted['arrivalAt']): void {
  quota.reserved = addUnits(quota.reserved, hold)
  quota.openRequests += 1
  quota.isChanged = true
  user.openRequests += 1
  // The user's other counters are written when the request ends: that saves one row per admission.
  if (arrivalAt === undefined) return
  user.arrivalAt = arrivalAt
  user.isChanged = true
}

function see(user: LoadedUser, { address }: AdmissionAsk, { policy, now, changes }: BatchRun): void {
  if (address === undefined) return
  changes.seen.push({ userId: user.id, address, isNewPlace: addPlace(user, address, policy, now) })
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
    const charged = chargeTo({ user, frontEnd: undefined }, event, run)
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
