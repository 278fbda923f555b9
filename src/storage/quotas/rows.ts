import { toCount } from '#core/units.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import type { QuotaRow } from '#storage/schema/tables.ts'
import type { LoadedQuota } from './account.ts'

/** The columns of a quota as `toLoadedQuota` takes them. */
export const quotaColumnNames = [
  'family',
  'quota_limit',
  'used',
  'reserved',
  'open_requests',
  'period_started_at',
  'period_bonus',
] as const

/** Reads a row of named values, as the one below. */
export function readQuota(row: QuotaRow): LoadedQuota {
  const { family, quota_limit: limit, used, reserved, open_requests: open, period_started_at: at } = row
  return toLoadedQuota([family, limit, used, reserved, open, at, row.period_bonus])
}

/** Reads a row that is a list of values. Throws where the row is damaged. */
export function toLoadedQuota(row: readonly unknown[]): LoadedQuota {
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
