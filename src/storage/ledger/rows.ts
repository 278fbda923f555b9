import { toBoundedExtras, type UsageExtras } from '#core/usage-extras.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { quotaColumnNames } from '#storage/quotas/rows.ts'
import { integer, optional, positionsOf, text, units } from '#storage/schema/columns.ts'
import { createLimitReader, limitColumns } from '#storage/users/limit-columns.ts'
import { parseType } from '#storage/users/rows.ts'
import { createPlaces, type LoadedUser, type OpenEntry, type SeenAddress } from './state.ts'

/**
 * Reads the ledger's rows as what `applyBatch` works with. A row is a list of values in the order of the columns named
 * here: every request reads some, and access by position is cheaper than by name.
 */
export type Values = readonly unknown[]

const userColumnNames = [
  'id',
  'type',
  'disabled_at',
  'disabled_reason',
  'expires_at',
  'rate_tat',
  'last_used_at',
  'prompt_count',
  'nickname',
  'front_end',
  ...limitColumns,
] as const
export const userColumns = userColumnNames.join(', ')
const at = positionsOf(userColumnNames)
const limitsOf = createLimitReader(userColumnNames)
export const quotaColumns = quotaColumnNames.join(', ')
export const entryColumns =
  'user_id, family, model, kind, hold, input_estimate, started_at, state, units, ended_at, front_end_id'

export function toLoadedUser(
  id: string,
  rowKey: string | number,
  row: Values,
  quotas: readonly LoadedQuota[],
  addresses: () => readonly SeenAddress[],
): LoadedUser {
  const disabledAt = optional(row[at.disabled_at], integer)
  const disabledReason = optional(row[at.disabled_reason], text)
  const expiresAt = optional(row[at.expires_at], integer)
  const arrivalAt = row[at.rate_tat]
  const nickname = optional(row[at.nickname], text)
  const frontEnd = optional(row[at.front_end], text)
  return {
    id,
    rowKey,
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
    ...(frontEnd !== null && { frontEnd }),
    ...(disabledAt !== null && { disabledAt }),
    ...(disabledReason !== null && { disabledReason }),
    ...(expiresAt !== null && { expiresAt }),
    ...(typeof arrivalAt === 'number' && { arrivalAt }),
  }
}

export function toSeenAddress(row: Values): SeenAddress {
  return { address: text(row[0]), lastSeenAt: integer(row[1]) }
}

export function toOpenEntry(id: string, row: Values): OpenEntry | 'closed' {
  const state = text(row[7])
  if (state !== 'open' && state !== 'abandoned') return 'closed'
  const frontEndId = optional(row[10], text)
  return {
    id,
    userId: text(row[0]),
    family: text(row[1]),
    model: text(row[2]),
    isMetered: text(row[3]) === 'metered',
    hold: units(row[4]),
    inputEstimate: units(row[5]),
    startedAt: integer(row[6]),
    ...(frontEndId !== null && { frontEndId }),
    ...(state === 'abandoned' && { charged: { units: integer(row[8]), endedAt: integer(row[9]) } }),
  }
}

/** Reads the extras of an entry; undefined for text that cannot be read. */
export function parseExtras(stored: string | null): UsageExtras | undefined {
  if (stored === null) return undefined
  try {
    return toBoundedExtras(JSON.parse(stored) as Partial<Record<keyof UsageExtras, unknown>>)
  } catch {
    return undefined
  }
}
