import { saturating, saturatingBoth, usageSums } from '#storage/schema/columns.ts'
import { type ColumnOf, inserts, updates, type Write } from '#storage/schema/write.ts'
import {
  bookedColumns,
  bookedThroughColumns,
  closedColumns,
  openedColumns,
  openedThroughColumns,
  usageColumns,
  weighedColumns,
} from './written-rows.ts'

const sums: ReadonlySet<string> = new Set([...usageSums, 'weighing'])

/** The upsert clause of a row of usage that exists already: its sums are added up and saturate, the rest is its key. */
export function addingUsage(table: string, columns: readonly string[]): string {
  const key = columns.filter((name) => !sums.has(name))
  const added = columns.flatMap((name) => {
    if (!sums.has(name)) return []
    const add = name === 'weighing' ? saturatingBoth : saturating
    return `${name} = ${add(`${table}.${name}`, `excluded.${name}`)}`
  })
  return `on conflict (${key.join(', ')}) do update set ${added.join(', ')}`
}

type UsageTable = 'usage_minutes' | 'total_minutes' | 'total_hours'

function adds<Table extends UsageTable>(table: Table, columns: readonly ColumnOf<Table>[]): Write {
  return inserts(table, columns, addingUsage(table, columns))
}

const quotaValues = ['period_bonus', 'used', 'reserved', 'open_requests', 'period_started_at'] as const

/** All that a batch may write. */
export const writes = {
  open: inserts('entries', openedColumns),
  openThrough: inserts('entries', openedThroughColumns),
  close: updates('entries', closedColumns, ['id'], 'lease_until = null'),
  book: inserts('entries', bookedColumns),
  bookThrough: inserts('entries', bookedThroughColumns),
  late: inserts('user_requests', ['user_id', 'id'], 'on conflict do nothing'),
  event: inserts('usage_events', ['id', 'counted_at']),
  user: updates('users', ['rate_tat', 'last_used_at', 'prompt_count'], ['id']),
  block: updates('users', ['disabled_at', 'disabled_reason'], ['id'], 'revision = revision + 1'),
  // Updating an existing row costs half of an upsert.
  quota: updates('quotas', quotaValues, ['user_id', 'family']),
  newQuota: inserts('quotas', [...quotaValues, 'user_id', 'family']),
  minute: adds('usage_minutes', ['user_id', 'minute_at', ...usageColumns]),
  totalMinute: adds('total_minutes', ['minute_at', 'shard', ...usageColumns]),
  totalHour: adds('total_hours', ['hour_at', 'shard', ...usageColumns]),
  weighedMinute: adds('usage_minutes', ['user_id', 'minute_at', ...weighedColumns]),
  weighedTotalMinute: adds('total_minutes', ['minute_at', 'shard', ...weighedColumns]),
  weighedTotalHour: adds('total_hours', ['hour_at', 'shard', ...weighedColumns]),
  address: inserts(
    'addresses',
    ['user_id', 'address', 'first_seen_at', 'last_seen_at'],
    'on conflict (user_id, address) do update set last_seen_at = excluded.last_seen_at',
  ),
} as const satisfies Readonly<Record<string, Write>>

export type WriteName = keyof typeof writes

/** Makes one thing of each write, such as its statement. */
export function ofEachWrite<T>(make: (write: Write, name: WriteName) => T): Readonly<Record<WriteName, T>> {
  const made = Object.entries(writes).map(([name, write]) => [name, make(write, name as WriteName)])
  return Object.fromEntries(made) as Record<WriteName, T>
}
