import { toCount, toSum, toUnits } from '#core/units.ts'
import type { Usage } from '#core/usage.ts'
import { toBoundedExtras, type UsageExtras } from '#core/usage-extras.ts'
import {
  integer,
  kindColumns,
  optional,
  positionsOf,
  saturating,
  saturatingBoth,
  text,
  units,
  usageSums,
} from '#storage/schema/columns.ts'
import { createLimitReader, limitColumns } from '#storage/users/limit-columns.ts'
import { parseType } from '#storage/users/rows.ts'
import {
  type Adjustment,
  type ClosedEntry,
  type CountedEvent,
  createPlaces,
  type EntryBeside,
  type LoadedQuota,
  type LoadedUser,
  type NewEntry,
  type OpenEntry,
  type SeenAddress,
} from './batch.ts'
import type { RollUp } from './roll-ups.ts'

/**
 * Converts between the ledger's rows and what `applyBatch` works with. A row is a list of values in the order of the
 * columns named here: every request reads and writes some, and access by position is cheaper than by name.
 */
export type Values = readonly unknown[]
type Value = string | number | null

/** The instance of an entry that has a lease instead of an owning process. */
const noInstance = ''

const userColumnNames = [
  'id',
  'type',
  'disabled_at',
  'disabled_reason',
  'expires_at',
  'arrival_at',
  'last_used_at',
  'prompt_count',
  'nickname',
  ...limitColumns,
] as const
export const userColumns = userColumnNames.join(', ')
const at = positionsOf(userColumnNames)
const limitsOf = createLimitReader(userColumnNames)
export const quotaColumns = 'family, quota_limit, used, reserved, open_requests, period_started_at, extra'
export const entryColumns =
  'user_id, family, model, kind, hold, input_estimate, started_at, state, units, ended_at'

/** The columns of a quota that a batch writes, then its key. */
export const quotaValueColumns = [
  'extra',
  'used',
  'reserved',
  'open_requests',
  'period_started_at',
  'user_id',
  'family',
] as const

export function toLoadedUser(
  id: string,
  row: Values,
  quotas: readonly LoadedQuota[],
  addresses: () => readonly SeenAddress[],
): LoadedUser {
  const disabledAt = optional(row[at.disabled_at], integer)
  const disabledReason = optional(row[at.disabled_reason], text)
  const expiresAt = optional(row[at.expires_at], integer)
  const arrivalAt = row[at.arrival_at]
  const nickname = optional(row[at.nickname], text)
  return {
    id,
    type: parseType(text(row[at.type])),
    limits: limitsOf(row),
    quotas: new Map(quotas.map((quota) => [quota.family, quota])),
    openRequests: quotas.reduce((sum, quota) => sum + quota.openRequests, 0),
    lastUsedAt: optional(row[at.last_used_at], integer),
    promptCount: integer(row[at.prompt_count]),
    isChanged: false,
    isBlocked: false,
    places: createPlaces(addresses),
    ...(nickname !== null && { nickname }),
    ...(disabledAt !== null && { disabledAt }),
    ...(disabledReason !== null && { disabledReason }),
    ...(expiresAt !== null && { expiresAt }),
    ...(typeof arrivalAt === 'number' && { arrivalAt }),
  }
}

export function toLoadedQuota(row: Values): LoadedQuota {
  const limit = optional(row[1], integer)
  return {
    family: text(row[0]),
    isStored: true,
    used: toCount(integer(row[2])),
    reserved: integer(row[3]),
    openRequests: integer(row[4]),
    periodStartedAt: integer(row[5]),
    extra: integer(row[6]),
    isChanged: false,
    ...(limit !== null && { limit }),
  }
}

export function toSeenAddress(row: Values): SeenAddress {
  return { address: text(row[0]), lastSeenAt: integer(row[1]) }
}

export function toOpenEntry(id: string, row: Values): OpenEntry | 'closed' {
  const state = text(row[7])
  if (state !== 'open' && state !== 'abandoned') return 'closed'
  return {
    id,
    userId: text(row[0]),
    family: text(row[1]),
    model: text(row[2]),
    isMetered: text(row[3]) === 'metered',
    hold: units(row[4]),
    inputEstimate: units(row[5]),
    startedAt: integer(row[6]),
    ...(state === 'abandoned' && { charged: { units: integer(row[8]), endedAt: integer(row[9]) } }),
  }
}

/** The columns of an entry that is opened. */
export const openedColumns = [
  'id',
  'user_id',
  'kind',
  'route',
  'family',
  'model',
  'state',
  'hold',
  'input_estimate',
  'address',
  'instance',
  'started_at',
  'lease_until',
] as const

export function toOpenedValues(entry: NewEntry, instance: string, now: number): readonly Value[] {
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

/** The columns of an entry that is closed: all are written but the last, the id. */
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
  'id',
] as const

export function toClosedValues(closed: ClosedEntry): readonly Value[] {
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

/** Reads what `toExtrasText` wrote; undefined for text that cannot be read. */
export function parseExtras(stored: string | null): UsageExtras | undefined {
  if (stored === null) return undefined
  try {
    return toBoundedExtras(JSON.parse(stored) as Partial<Record<keyof UsageExtras, unknown>>)
  } catch {
    return undefined
  }
}

/** The columns of an entry that is stored closed, such as usage from elsewhere or an adjustment. */
export const bookedColumns = [
  'id',
  'user_id',
  'kind',
  'route',
  'family',
  'model',
  'state',
  'hold',
  'input_estimate',
  'is_estimated',
  ...kindColumns,
  'units',
  'status',
  'upstream',
  'instance',
  'started_at',
  'ended_at',
] as const

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

export function toBookedEvent(counted: CountedEvent, instance: string): readonly Value[] {
  const { event, endedAt } = counted
  const { requestId: id, route, family, model, isEstimated, status, upstream, happenedAt } = event
  const startedAt = happenedAt === undefined ? endedAt : toSum(happenedAt)
  return toBookedValues(
    { ...counted, id, route, family, model, isEstimated, status, upstream, startedAt },
    instance,
  )
}

export function toBookedBeside(booked: EntryBeside, instance: string): readonly Value[] {
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

function toBookedValues(booked: Booked, instance: string): readonly Value[] {
  const { id, userId, route, family, model, usage, startedAt, endedAt } = booked
  return [
    id,
    userId,
    'metered',
    route,
    family,
    model,
    'settled',
    0,
    0,
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

export function toBookedAdjustment(adjusted: Adjustment, instance: string): readonly Value[] {
  const { id, userId, family, at } = adjusted
  const kind = ['adjustment', '/usage', family, '', 'settled'] as const
  return [id, userId, ...kind, 0, 0, 0, 0, 0, 0, 0, 0, adjusted.units, null, null, instance, at, at]
}

/** The columns of a usage row that follow its own key (a user, a time). */
export const usageColumns = ['family', 'model', 'upstream', 'status', ...usageSums] as const

export function toUsageValues(row: RollUp): readonly Value[] {
  const { family, model, upstream, status, requests, estimated, usage } = row
  const { input, cacheRead, cacheWritten, output, reasoning } = usage
  return [
    family,
    model,
    upstream,
    status,
    requests,
    estimated,
    input,
    cacheRead,
    cacheWritten,
    output,
    reasoning,
  ]
}

/** The same for a row with weights. Most rows have no weights and are written without this column. */
export const weighedColumns = [...usageColumns, 'weighing'] as const

export function toWeighedValues(row: RollUp): readonly Value[] {
  return [...toUsageValues(row), row.weighing]
}

/**
 * The upsert clause for a usage row that exists already: the sums are added up, and saturate.
 *
 * @param own the columns before the shared ones
 */
export function addingUsage(table: string, own: readonly string[], more: readonly string[] = []): string {
  const key = [...own, 'family', 'model', 'upstream', 'status', ...more]
  const added = usageSums.map((sum) => `${sum} = ${saturating(`${table}.${sum}`, `excluded.${sum}`)}`)
  return `on conflict (${key.join(', ')}) do update set ${added.join(', ')}`
}

/** The same as `addingUsage`, for a row with weights. */
export function addingWeighed(table: string, own: readonly string[], more: readonly string[] = []): string {
  const weighing = saturatingBoth(`${table}.weighing`, 'excluded.weighing')
  return `${addingUsage(table, own, more)}, weighing = ${weighing}`
}
