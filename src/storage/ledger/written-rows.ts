import { toSum, toUnits } from '#core/units.ts'
import type { Usage } from '#core/usage.ts'
import { toBoundedExtras, type UsageExtras } from '#core/usage-extras.ts'
import type { Adjustment } from '#storage/quotas/account.ts'
import { kindColumns, usageSums } from '#storage/schema/columns.ts'
import type { Value } from '#storage/schema/write.ts'
import type { ClosedEntry, CountedEvent, EntryBeside, NewEntry } from './changes.ts'
import type { RollUp } from './roll-ups.ts'

/**
 * The rows that a batch writes: the columns of each kind, and the values in the same order. Access by position is
 * cheaper than by name, and every request writes some of these.
 */
type ValuesOf<Columns extends readonly string[]> = { readonly [At in keyof Columns]: Value }

/** The instance of an entry that has a lease instead of an owning process. */
const noInstance = ''

/** The columns of every new entry. */
const firstColumns = [
  'id',
  'user_id',
  'kind',
  'route',
  'family',
  'model',
  'state',
  'hold',
  'input_estimate',
] as const

/** The columns of an entry that is opened. */
export const openedColumns = [...firstColumns, 'address', 'instance', 'started_at', 'lease_until'] as const

export function toOpenedValues(
  entry: NewEntry,
  instance: string,
  now: number,
): ValuesOf<typeof openedColumns> {
  const { ask } = entry
  return [
    ask.requestId,
    entry.userId,
    ask.isMetered ? 'metered' : 'free',
    ask.route,
    entry.family,
    entry.model,
    'open',
    entry.hold,
    entry.inputEstimate,
    ask.address ?? null,
    ask.leaseUntil === undefined ? instance : noInstance,
    entry.startedAt ?? now,
    ask.leaseUntil ?? null,
  ]
}

/** The columns of an entry that also belongs to the account of a front end. */
export const openedThroughColumns = [...openedColumns, 'front_end_id'] as const

export function toOpenedThroughValues(
  entry: NewEntry,
  frontEndId: string,
  instance: string,
  now: number,
): ValuesOf<typeof openedThroughColumns> {
  return [...toOpenedValues(entry, instance, now), frontEndId]
}

/** The columns of an entry that is closed. */
export const closedColumns = [
  'state',
  'is_estimated',
  ...kindColumns,
  'units',
  'status',
  'error_code',
  'upstream',
  'ended_at',
  'duration_ms',
  'first_byte_ms',
  'extras',
] as const

/** The values of these columns, then the id of the entry. */
export function toClosedValues(closed: ClosedEntry): ValuesOf<readonly [...typeof closedColumns, 'id']> {
  const { entry, settlement, usage, endedAt } = closed
  return [
    settlement.ending,
    settlement.isEstimated ? 1 : 0,
    usage.input,
    usage.cacheRead,
    usage.cacheWritten,
    usage.output,
    usage.reasoning,
    closed.units,
    toUnits(settlement.status),
    settlement.errorCode ?? null,
    settlement.upstream ?? null,
    endedAt,
    toUnits(settlement.durationMs),
    settlement.firstByteMs === undefined ? null : toUnits(settlement.firstByteMs),
    toExtrasText(settlement.extras),
    entry.id,
  ]
}

function toExtrasText(extras: UsageExtras | undefined): string | null {
  const bounded = extras && toBoundedExtras(extras)
  return bounded ? JSON.stringify(bounded) : null
}

/** The columns of an entry that is stored closed, such as usage from elsewhere or an adjustment. */
export const bookedColumns = [
  ...firstColumns,
  'is_estimated',
  ...kindColumns,
  'units',
  'status',
  'upstream',
  'instance',
  'started_at',
  'ended_at',
] as const
type BookedValues = ValuesOf<typeof bookedColumns>

/** The same for usage of a person who asked through a front end. */
export const bookedThroughColumns = [...bookedColumns, 'front_end_id'] as const

export function toBookedThroughValues(
  booked: EntryBeside,
  frontEndId: string,
  instance: string,
): ValuesOf<typeof bookedThroughColumns> {
  return [...toBookedBeside(booked, instance), frontEndId]
}

/** Usage that is stored closed: nothing was reserved for it. */
interface Booked {
  readonly id: string
  readonly userId: string
  readonly route: string
  readonly family: string
  readonly model: string
  readonly isEstimated: boolean
  readonly usage: Usage
  readonly units: number
  readonly status: number
  readonly upstream: string | undefined
  readonly startedAt: number
  readonly endedAt: number
}

export function toBookedEvent(counted: CountedEvent, instance: string): BookedValues {
  const { event, endedAt } = counted
  const { requestId: id, route, family, model, isEstimated, status, upstream, happenedAt } = event
  const startedAt = happenedAt === undefined ? endedAt : toSum(happenedAt)
  return toBookedValues(
    { ...counted, id, route, family, model, isEstimated, status, upstream, startedAt },
    instance,
  )
}

export function toBookedBeside(booked: EntryBeside, instance: string): BookedValues {
  const { entry, settlement, beside } = booked
  const { isEstimated, status, upstream } = settlement
  const { family, model } = beside
  const route = settlement.opened?.route ?? ''
  const { userId, startedAt } = entry
  return toBookedValues(
    { ...booked, userId, route, family, model, isEstimated, status, upstream, startedAt },
    instance,
  )
}

function toBookedValues(booked: Booked, instance: string): BookedValues {
  const { id, userId, route, family, model, usage, startedAt, endedAt } = booked
  return [
    ...([id, userId, 'metered', route, family, model, 'settled', 0, 0] as const),
    booked.isEstimated ? 1 : 0,
    usage.input,
    usage.cacheRead,
    usage.cacheWritten,
    usage.output,
    usage.reasoning,
    booked.units,
    toUnits(booked.status),
    booked.upstream ?? null,
    instance,
    startedAt,
    endedAt,
  ]
}

export function toBookedAdjustment(adjusted: Adjustment, instance: string): BookedValues {
  const { id, userId, route, family, at } = adjusted
  const kind = ['adjustment', route, family, '', 'settled'] as const
  return [id, userId, ...kind, 0, 0, 0, 0, 0, 0, 0, 0, adjusted.units, null, null, instance, at, at]
}

/** The columns of a usage row that follow its own key (a user, a time). */
export const usageColumns = ['family', 'model', 'upstream', 'status', ...usageSums] as const

export function toUsageValues(row: RollUp): ValuesOf<typeof usageColumns> {
  const { family, model, upstream, status, requests, estimated, usage } = row
  const { input, cacheRead, cacheWritten, output, reasoning } = usage
  const key = [family, model, upstream, status] as const
  return [...key, requests, estimated, input, cacheRead, cacheWritten, output, reasoning]
}

/** The same for a row with weights. Most rows have no weights and are written without this column. */
export const weighedColumns = [...usageColumns, 'weighing'] as const

export function toWeighedValues(row: RollUp): ValuesOf<typeof weighedColumns> {
  return [...toUsageValues(row), row.weighing]
}
