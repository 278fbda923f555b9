import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answered, api, type BookedRequest } from '#api/client.ts'
import { Copyable } from '#parts/copy.tsx'
import { Dialog } from '#parts/dialog.tsx'
import { duration, exact, fullTime, short } from '#parts/figures.ts'
import { type Column, Table } from '#parts/table.tsx'
import { Time } from '#parts/time.tsx'
import { Chip } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'

/** Requests of the ledger, newest first. */
export function useRequests(filter: Readonly<Record<string, string>>, limit = 50) {
  return useInfiniteQuery({
    queryKey: ['requests', filter, limit],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/admin/requests', {
          params: {
            query: (filter.id
              ? { id: filter.id }
              : { ...filter, limit, ...(pageParam && { cursor: pageParam }) }) as never,
          },
        }),
      ),
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: (before) => before,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : 5_000),
  })
}

export function RequestRows({ rows, isOfOne }: { rows: readonly BookedRequest[]; isOfOne?: boolean }) {
  const [open, setOpen] = useState<BookedRequest>()
  const columns: readonly Column<BookedRequest>[] = [
    {
      key: 'time',
      head: t.requests.time,
      cell: (row) => (
        <button
          type="button"
          onClick={() => setOpen(row)}
          className="border-0 bg-transparent p-0 text-start text-accent underline whitespace-nowrap"
        >
          <Time at={row.startedAt} />
        </button>
      ),
    },
    ...(isOfOne
      ? []
      : [
          {
            key: 'user',
            head: t.requests.user,
            isExtra: true,
            cell: (row: BookedRequest) => (
              <Link href={`/users/${row.user}`} className="font-mono text-12">
                {row.user.slice(0, 12)}…
              </Link>
            ),
          },
        ]),
    {
      key: 'model',
      head: t.requests.model,
      cell: (row) => <span className="[overflow-wrap:anywhere]">{row.model}</span>,
    },
    {
      key: 'units',
      head: t.requests.units,
      isFigure: true,
      cell: (row) => (
        <span
          title={t.requests.detail(
            exact(row.input),
            exact(row.cacheRead + row.cacheWritten),
            exact(row.output),
            exact(row.reasoning),
          )}
        >
          {row.state === 'open' ? `(${short(row.hold)})` : short(row.units)}
          {row.isEstimated && ' ≈'}
        </span>
      ),
    },
    { key: 'status', head: t.requests.status, cell: (row) => <RequestState row={row} /> },
    {
      key: 'duration',
      head: t.requests.duration,
      isFigure: true,
      isExtra: true,
      cell: (row) => (row.durationMs === undefined ? '' : duration(row.durationMs)),
    },
    { key: 'upstream', head: t.requests.upstream, isExtra: true, cell: (row) => row.upstream ?? '' },
  ]
  return (
    <>
      <Table label={t.requests.title} columns={columns} rows={rows} keyOf={(row) => row.id} />
      {open && <RequestDialog row={open} onClose={() => setOpen(undefined)} />}
    </>
  )
}

function RequestState({ row }: { row: BookedRequest }) {
  if (row.state === 'open') return <Chip tone="soon">{t.requests.states.open}</Chip>
  const isGood = row.status !== undefined && row.status >= 200 && row.status < 400
  return (
    <Chip tone={isGood ? 'good' : 'stop'}>
      {[row.status || undefined, row.code].filter(Boolean).join(' ') || t.requests.states[row.state]}
    </Chip>
  )
}

/** One request's whole life as steps. */
function RequestDialog({ row, onClose }: { row: BookedRequest; onClose: () => void }) {
  const { steps } = t.requests
  const took = row.durationMs === undefined ? '' : duration(row.durationMs)
  const lines = [
    [fullTime(row.startedAt), steps.asked(row.route, row.address ?? '–')],
    ['', steps.held(exact(row.hold), row.family)],
    ['', row.upstream ? steps.sent(row.upstream) : steps.unsent],
    ...(row.firstByteMs === undefined ? [] : [['', steps.firstByte(duration(row.firstByteMs))]]),
    ...(row.state === 'open'
      ? [['', steps.running]]
      : [
          [
            row.endedAt === undefined ? '' : fullTime(row.endedAt),
            row.status
              ? steps.answered([row.status, row.code].filter(Boolean).join(' '), took)
              : steps.gone(took),
          ],
          [
            '',
            row.units > 0
              ? `${steps.charged(exact(row.units))} (${t.requests.detail(exact(row.input), exact(row.cacheRead + row.cacheWritten), exact(row.output), exact(row.reasoning))})`
              : steps.released,
          ],
        ]),
    ...(row.isEstimated ? [['', steps.estimated]] : []),
  ]
  return (
    <Dialog title={row.model || row.route} onClose={onClose}>
      <ol className="m-0 flex list-none flex-col gap-0 p-0">
        {lines.map(([when, what]) => (
          <li key={what} className="border-s-2 border-accent py-1 ps-4">
            <span className="[overflow-wrap:anywhere]">{what}</span>
            {when && <span className="block text-12 text-soft">{when}</span>}
          </li>
        ))}
      </ol>
      <Copyable text={row.id} />
      <Link href={`/users/${row.user}`}>{row.user}</Link>
    </Dialog>
  )
}
