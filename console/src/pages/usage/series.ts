import type { UsageRow } from '#api/client.ts'
import type { Series } from '#parts/bars.tsx'
import { t } from '#words/words.ts'

export type Group = keyof typeof t.usage.groups

interface Report {
  readonly bucket: 'minute' | 'hour' | 'day'
  readonly from: number
  readonly to: number
  readonly rows: readonly UsageRow[]
}

const lengths = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

export const groupOf = (row: UsageRow, group: Group) => String(row[group] ?? '') || t.usage.none

/** The rows as series over all buckets of the report: a bucket without a row is zero. */
export function seriesOf(
  { bucket, from, to, rows }: Report,
  group: Group,
): { readonly at: readonly number[]; readonly series: readonly Series[] } {
  const stated = rows.map(({ at }) => at)
  const length = lengths[bucket]
  const start = stated.length > 0 ? Math.min(...stated) : from
  // Days begin at midnight of the configured zone; a change of summer time moves them by an hour.
  const first = start - Math.ceil((start - from) / length) * length
  const slots = Math.max(1, Math.ceil((to - first) / length))
  const at = Array.from({ length: slots }, (_, index) => first + index * length)
  const names = [...new Set(rows.map((row) => groupOf(row, group)))]
  const series = names.map((name) => {
    const figures = new Array<number>(slots).fill(0)
    for (const row of rows) {
      if (groupOf(row, group) !== name) continue
      const slot = Math.min(slots - 1, Math.max(0, Math.round((row.at - first) / length)))
      figures[slot] = (figures[slot] ?? 0) + row.units
    }
    return { name, figures }
  })
  return { at, series }
}

const summable = [
  'requests',
  'estimated',
  'input',
  'cacheRead',
  'cacheWritten',
  'output',
  'reasoning',
  'units',
] as const

/** One row for each group, the largest first. */
export function summed(rows: readonly UsageRow[], group: Group): readonly UsageRow[] {
  const byGroup = new Map<string, UsageRow>()
  for (const row of rows) {
    const name = groupOf(row, group)
    const so = byGroup.get(name)
    byGroup.set(
      name,
      so
        ? { ...so, ...Object.fromEntries(summable.map((key) => [key, so[key] + row[key]])) }
        : { ...row, at: 0 },
    )
  }
  return [...byGroup.values()].sort((one, other) => other.units - one.units)
}
