import { Link } from 'wouter'
import type { UsageRow } from '#api/client.ts'
import { exact, fullTime, short } from '#parts/figures.ts'
import { type Column, Table } from '#parts/table.tsx'
import { t } from '#words/words.ts'
import { type Group, groupOf } from './series.ts'

const figure = (
  key: string,
  head: string,
  of: (row: UsageRow) => number,
  isExtra = false,
): Column<UsageRow> => ({
  key,
  head,
  isFigure: true,
  isExtra,
  cell: (row) => <span title={exact(of(row))}>{short(of(row))}</span>,
})

export function UsageTable({
  rows,
  group,
  isByTime,
  before,
}: {
  rows: readonly UsageRow[]
  group: Group
  isByTime?: boolean
  /** The units of each group in the period before. */
  before?: ReadonlyMap<string, number> | undefined
}) {
  const columns: readonly Column<UsageRow>[] = [
    ...(isByTime
      ? [
          {
            key: 'at',
            head: t.requests.time,
            cell: (row: UsageRow) => <span className="whitespace-nowrap">{fullTime(row.at)}</span>,
          },
        ]
      : []),
    { key: 'group', head: t.usage.groups[group], cell: (row) => <GroupName row={row} group={group} /> },
    figure('requests', t.usage.requests, (row) => row.requests),
    figure('input', t.usage.input, (row) => row.input, true),
    figure('cached', t.usage.cached, (row) => row.cacheRead + row.cacheWritten, true),
    figure('output', t.usage.output, (row) => row.output, true),
    figure('units', t.usage.units, (row) => row.units),
    ...(before
      ? [figure('before', t.usage.before, (row) => before.get(groupOf(row, group)) ?? 0, true)]
      : []),
  ]
  return (
    <Table
      label={t.usage.title}
      columns={columns}
      rows={rows}
      keyOf={(row) => `${row.at} ${groupOf(row, group)}`}
    />
  )
}

/** Each figure leads to the list behind it. */
function GroupName({ row, group }: { row: UsageRow; group: Group }) {
  const name = groupOf(row, group)
  const value = row[group]
  if (value === undefined || value === '') return <span className="text-soft">{name}</span>
  if (group === 'user')
    return (
      <Link href={`/users/${encodeURIComponent(name)}`} className="font-mono">
        {name}
      </Link>
    )
  if (group === 'tag') return <Link href={`/users?tag=${encodeURIComponent(name)}`}>{name}</Link>
  return (
    <Link href={`/requests?${group}=${encodeURIComponent(name)}`} className="[overflow-wrap:anywhere]">
      {name}
    </Link>
  )
}
