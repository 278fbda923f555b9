import { sharedUsageOf } from '#core/front-end.ts'
import { addUnits } from '#core/units.ts'
import { noUsage, type Usage } from '#core/usage.ts'
import type { ClosedEntry, CountedEvent, EntryBeside, LedgerChanges } from './changes.ts'
import type { ReportedNames } from './reported-models.ts'
import type { OpenEntry } from './state.ts'

/**
 * What a batch adds to the totals behind the reports. Requests of the same minute, model, upstream and status share a
 * row, so a batch updates each row once. Amounts can be negative: a late settlement of an abandoned entry takes its
 * estimate out of the minute in which it was counted.
 */
export interface RollUp {
  readonly userId: string
  /** When the minute or hour begins. */
  readonly at: number
  readonly family: string
  readonly model: string
  readonly upstream: string
  readonly status: number
  requests: number
  estimated: number
  usage: Usage
  /** What weights add to the sum of `usage`, or take away from it. */
  weighing: number
}

const minuteMs = 60_000
const hourMs = 3_600_000

const abandoned = { isSettled: false, status: 0 } as const

/**
 * @param reported under which names models and upstreams are counted
 * @param now of the batch
 * @returns rows by user and minute, and the same summed up over all users by minute and by hour (their `userId` says nothing)
 */
export function rollUpsOf(
  { closed, beside, counted }: Pick<LedgerChanges, 'closed' | 'beside' | 'counted'>,
  reported: Names,
  now: number,
): {
  readonly users: readonly RollUp[]
  readonly minutes: readonly RollUp[]
  readonly hours: readonly RollUp[]
} {
  const [users, minutes, hours] = [
    new Map<string, RollUp>(),
    new Map<string, RollUp>(),
    new Map<string, RollUp>(),
  ]
  function add(row: RollUp, frontEndId: string | undefined): void {
    const key = keyOf(row)
    addTo(minutes, key, row)
    addTo(users, `${row.userId} ${key}`, row)
    if (frontEndId === undefined) return
    const userId = sharedUsageOf(frontEndId)
    addTo(users, `${userId} ${key}`, { ...row, userId })
  }
  for (const one of closed) {
    if (!one.entry.isMetered) continue
    const { frontEndId } = one.entry
    add(rowOfClosed(one, reported, now), frontEndId)
    if (one.entry.charged) add(rowTakenBack(one.entry, one.entry.charged, reported, now), frontEndId)
  }
  for (const one of beside) add(rowOfBeside(one, reported, now), one.entry.frontEndId)
  for (const one of counted) add(rowOfEvent(one, reported, now), undefined)
  for (const row of minutes.values()) {
    const hour = { ...row, at: Math.floor(row.at / hourMs) * hourMs }
    addTo(hours, keyOf(hour), hour)
  }
  return { users: [...users.values()], minutes: [...minutes.values()], hours: [...hours.values()] }
}

type Names = Pick<ReportedNames, 'of' | 'upstreamOf'>

function rowOfClosed(
  { entry, settlement, usage, weighing, endedAt }: ClosedEntry,
  reported: Names,
  now: number,
): RollUp {
  const { userId, family } = entry
  const { status, isEstimated } = settlement
  const isSettled = settlement.ending === 'settled'
  return {
    userId,
    family,
    upstream: reported.upstreamOf(settlement.upstream ?? '', userId, now),
    model: reported.of(entry.model, { userId, isSettled, status }, now),
    at: minuteOf(endedAt),
    status,
    requests: 1,
    estimated: Number(isEstimated),
    usage,
    weighing,
  }
}

/** What an entry was counted as when it was abandoned. */
function rowTakenBack(
  { userId, family, model, inputEstimate }: OpenEntry,
  charged: NonNullable<OpenEntry['charged']>,
  reported: Names,
  now: number,
): RollUp {
  return {
    userId,
    family,
    model: reported.of(model, { userId, ...abandoned }, now),
    at: minuteOf(charged.endedAt),
    upstream: '',
    status: 0,
    requests: -1,
    estimated: -1,
    usage: { ...noUsage, input: -inputEstimate },
    weighing: inputEstimate - charged.units,
  }
}

/** Adds no request: the request is counted with its own entry. */
function rowOfBeside(
  { entry, settlement, beside, usage, weighing, endedAt }: EntryBeside,
  reported: Names,
  now: number,
): RollUp {
  const { userId } = entry
  const { status } = settlement
  return {
    userId,
    family: beside.family,
    upstream: reported.upstreamOf(settlement.upstream ?? '', userId, now),
    model: reported.of(beside.model, { userId, isSettled: true, status }, now),
    status,
    at: minuteOf(endedAt),
    requests: 0,
    estimated: 0,
    usage,
    weighing,
  }
}

function rowOfEvent(
  { event, usage, weighing, userId, endedAt }: CountedEvent,
  reported: Names,
  now: number,
): RollUp {
  const { family, status, isEstimated } = event
  return {
    userId,
    family,
    upstream: reported.upstreamOf(event.upstream ?? '', userId, now),
    model: reported.of(event.model, { userId, isSettled: true, status }, now),
    status,
    at: minuteOf(endedAt),
    requests: 1,
    estimated: Number(isEstimated),
    usage,
    weighing,
  }
}

function keyOf({ at, family, model, upstream, status }: RollUp): string {
  return `${at} ${status} ${upstream} ${family} ${model}`
}

function minuteOf(at: number): number {
  return Math.floor(at / minuteMs) * minuteMs
}

function addTo(rows: Map<string, RollUp>, key: string, row: RollUp): void {
  const known = rows.get(key)
  if (!known) {
    rows.set(key, { ...row })
    return
  }
  known.requests += row.requests
  known.estimated += row.estimated
  known.weighing = addUnits(known.weighing, row.weighing)
  known.usage = {
    input: addUnits(known.usage.input, row.usage.input),
    cacheRead: addUnits(known.usage.cacheRead, row.usage.cacheRead),
    cacheWritten: addUnits(known.usage.cacheWritten, row.usage.cacheWritten),
    output: addUnits(known.usage.output, row.usage.output),
    reasoning: addUnits(known.usage.reasoning, row.usage.reasoning),
  }
}
