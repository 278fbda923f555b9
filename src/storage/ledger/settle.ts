import type { Settlement, SettlementOutcome } from '#core/settlement.ts'
import { toCount, toUnits } from '#core/units.ts'
import { toBoundedUsage, type Usage } from '#core/usage.ts'
import { chargeOf, weighingOf } from '#core/weights.ts'
import {
  bookedAt,
  charge,
  type LoadedQuota,
  periodStartOf,
  quotaOf,
  rollOver,
  roomFor,
  toAdjustment,
} from '#storage/quotas/account.ts'
import { type Accounts, type BatchRun, chargeTo } from './charge.ts'
import type { LoadedUser, OpenEntry } from './state.ts'

/**
 * Replaces an entry's reservation by what was really used. It checks no limit: usage that has happened is booked even
 * beyond a limit that was lowered meanwhile. It is booked in the period in which the request ends, by the weights of
 * now. A late settlement of an abandoned entry replaces the estimate that the entry was charged.
 */
export function settle(settlement: Settlement, run: BatchRun): SettlementOutcome {
  const { state, policy, now, changes } = run
  const found = state.entryOf(settlement.requestId)
  if (found === 'closed') return 'repeated'
  const entry = found ?? openAgain(settlement, run)
  if (entry === undefined) return 'unknown'
  const { charged } = entry
  if (charged && settlement.ending === 'abandoned') return 'repeated'
  const usage = usageOf(settlement, entry)
  const user = state.userById(entry.userId)
  const frontEnd = entry.frontEndId === undefined ? undefined : state.userById(entry.frontEndId)
  const weights = policy.weightsOf?.(entry.family)
  let units = chargeOf(usage, weights)
  const weighing = weighingOf(usage, weights)
  let endedAt = now
  if (frontEnd) {
    const quota = closeFor(frontEnd, entry, found !== undefined, run)
    // Both accounts book the same figure, so that each is the sum of its entries.
    units = roomFor(quota, units)
    endedAt = bookedAt(quota, now)
    frontEnd.isChanged = true
  }
  if (user) {
    const quota = closeFor(user, entry, found !== undefined, run)
    units = charge(quota, units)
    endedAt = Math.max(endedAt, bookedAt(quota, now))
    // An abandoned request was counted as a prompt when it was abandoned.
    if (entry.isMetered) {
      const prompts = Number(settlement.ending !== 'released') - Number(Boolean(charged))
      user.promptCount = toUnits(user.promptCount + prompts)
    }
    user.isChanged = true
  }
  if (frontEnd) charge(quotaOf(frontEnd.quotas, entry.family), units)
  changes.closed.push({ entry, settlement, usage, units, weighing, endedAt })
  if (settlement.beside && settlement.ending === 'settled')
    bookBeside(entry, settlement, { user, frontEnd }, run)
  return charged ? 'corrected' : 'closed'
}

/** Frees what the entry holds of an account, and answers its quota at `now`, without what an abandoned entry was charged. */
function closeFor(account: LoadedUser, entry: OpenEntry, isStored: boolean, run: BatchRun): LoadedQuota {
  const { charged } = entry
  const quota = quotaOf(account.quotas, entry.family)
  if (isStored && !charged) {
    quota.reserved = toCount(quota.reserved - entry.hold)
    quota.openRequests = toCount(quota.openRequests - 1)
    account.openRequests = toCount(account.openRequests - 1)
  }
  rollOver(quota, periodStartOf(account.limits, run.policy, run.now))
  if (charged && charged.endedAt >= quota.periodStartedAt) takeBack(account.id, quota, charged.units, run)
  quota.isChanged = true
  account.lastUsedAt = Math.max(account.lastUsedAt ?? 0, entry.startedAt)
  return quota
}

/**
 * Books what a request used of other families, each as an entry of its own. The request's entry is closed once, in
 * the same transaction, so these are booked once as well. The request still counts as one prompt and as one request
 * in reports.
 */
function bookBeside(entry: OpenEntry, settlement: Settlement, accounts: Accounts, run: BatchRun): void {
  for (const [index, beside] of (settlement.beside ?? []).entries()) {
    const id = `${entry.id}.${index + 1}`
    run.changes.beside.push({ id, entry, settlement, beside, ...chargeTo(accounts, beside, run) })
  }
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
  { state, now, changes }: BatchRun,
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
function takeBack(userId: string, quota: LoadedQuota, units: number, { now, changes }: BatchRun): void {
  const missing = Math.max(0, units - quota.used)
  quota.used -= units - missing
  if (missing === 0) return
  changes.adjusted.push(toAdjustment(quota, missing, { userId, route: '/usage', now }))
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
