import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from 'wouter'
import { answered, api, type Change } from '#api/client.ts'
import { fullTime } from '#parts/figures.ts'
import { type Column, Table } from '#parts/table.tsx'
import { Time } from '#parts/time.tsx'
import { t } from '#words/words.ts'

export function useChanges(filter: Readonly<Record<string, string>>, limit = 50) {
  return useInfiniteQuery({
    queryKey: ['changes', filter, limit],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/admin/audit', {
          params: { query: { ...filter, limit, ...(pageParam && { cursor: pageParam }) } as never },
        }),
      ),
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: (before) => before,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : 10_000),
  })
}

export function ChangeRows({ rows, isWithObject }: { rows: readonly Change[]; isWithObject?: boolean }) {
  const columns: readonly Column<Change>[] = [
    {
      key: 'at',
      head: t.audit.at,
      cell: (row) => (
        <span className="whitespace-nowrap">
          <Time at={row.at} />
        </span>
      ),
    },
    { key: 'kind', head: t.audit.kind, cell: (row) => <code className="font-mono text-12">{row.kind}</code> },
    {
      key: 'actor',
      head: t.audit.actor,
      cell: ({ actor, address }) => <span title={address}>{actor.name ?? actor.id ?? actor.kind}</span>,
    },
    ...(isWithObject
      ? [
          {
            key: 'object',
            head: t.audit.object,
            isExtra: true,
            cell: (row: Change) => <ObjectLink id={row.object} />,
          },
        ]
      : []),
    { key: 'what', head: t.audit.what, cell: (row) => <Difference change={row} /> },
  ]
  return <Table label={t.audit.title} columns={columns} rows={rows} keyOf={(row) => String(row.seq)} />
}

function ObjectLink({ id }: { id: string }) {
  if (id.startsWith('usr_'))
    return (
      <Link href={`/users/${id}`} className="font-mono text-12">
        {id.slice(0, 12)}…
      </Link>
    )
  return <span className="font-mono text-12 [overflow-wrap:anywhere]">{id}</span>
}

const timeNames = /(?:At|Until|After)$/

function shown(name: string, value: unknown): string {
  if (value === undefined || value === null) return '–'
  if (typeof value === 'number' && timeNames.test(name)) return fullTime(value)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function Difference({ change: { before = {}, after = {} } }: { change: Change }) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return (
    <ul className="m-0 flex min-w-60 list-none flex-col gap-1 p-0">
      {names.map((name) => (
        <li key={name} className="[overflow-wrap:anywhere]">
          <span className="text-soft">{name}: </span>
          {name in before && <del className="me-1 text-soft">{shown(name, before[name])}</del>}
          {name in after && <ins className="no-underline">{shown(name, after[name])}</ins>}
        </li>
      ))}
    </ul>
  )
}
