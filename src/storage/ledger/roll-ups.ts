import { addUnits } from '#core/units.ts'
import { noUsage, type Usage } from '#core/usage.ts'
import type { LedgerChanges } from './changes.ts'
import type { ReportedNames, ReportedRequest } from './reported-models.ts'

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
  reported: Pick<ReportedNames, 'of' | 'upstreamOf'>,
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
  function add(row: RollUp): void {
    const key = keyOf(row)
    addTo(minutes, key, row)
    addTo(users, `${row.userId} ${key}`, row)
  }
  for (const { entry, settlement, usage, weighing, endedAt } of closed) {
    const { userId, family, charged } = entry
    if (!entry.isMetered) continue
    const { status, isEstimated } = settlement
    const about = { userId, family }
    const upstream = reported.upstreamOf(settlement.upstream ?? '', userId, now)
    const model = (request: Omit<ReportedRequest, 'userId'>) =>
      reported.of(entry.model, { ...request, userId }, now)
    add({
      ...about,
      model: model({ isSettled: settlement.ending === 'settled', status }),
      at: minuteOf(endedAt),
      upstream,
      status,
      requests: 1,
      estimated: Number(isEstimated),
      usage,
      weighing,
    })
    if (!charged) continue
    const taken = { ...noUsage, input: -entry.inputEstimate }
    const untaken = entry.inputEstimate - charged.units
    const at = minuteOf(charged.endedAt)
    add({
      ...about,
      model: model(abandoned),
      at,
      upstream: '',
      status: 0,
      requests: -1,
      estimated: -1,
      usage: taken,
      weighing: untaken,
    })
  }
  // These add no request: the request is counted with its own entry.
  for (const { entry, settlement, beside: other, usage, weighing, endedAt } of beside) {
    const { status } = settlement
    const { userId } = entry
    const upstream = reported.upstreamOf(settlement.upstream ?? '', userId, now)
    const model = reported.of(other.model, { userId, isSettled: true, status }, now)
    const about = { userId, family: other.family, model, upstream, status }
    add({ ...about, at: minuteOf(endedAt), requests: 0, estimated: 0, usage, weighing })
  }
  for (const { event, usage, weighing, userId, endedAt } of counted) {
    const { family, status, isEstimated } = event
    const upstream = reported.upstreamOf(event.upstream ?? '', userId, now)
    const model = reported.of(event.model, { userId, isSettled: true, status }, now)
    const about = { userId, family, model, upstream, status }
    add({
      ...about,
      at: minuteOf(endedAt),
      requests: 1,
      estimated: Number(isEstimated),
      usage,
      weighing,
    })
  }
  for (const row of minutes.values()) {
    const hour = { ...row, at: Math.floor(row.at / hourMs) * hourMs }
    addTo(hours, keyOf(hour), hour)
  }
  return { users: [...users.values()], minutes: [...minutes.values()], hours: [...hours.values()] }
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
