import { type Answer, written } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { cutOnFailure, logUnreadable } from '#admin/request/long-answer.ts'
import { csvCell } from '#admin/usage/csv.ts'
import { streamPages } from '#admin/wire/stream-pages.ts'
import type { ChangeFilter, StoredChange } from '#core/change.ts'

const pageSize = 500

/** All changes of a filter, newest first, streamed whatever their number. */
export async function answerFile(
  c: AdminContext,
  { store, log }: AdminParts,
  filter: ChangeFilter,
  format: 'ndjson' | 'csv',
): Promise<Answer> {
  const page = async (before?: number) => {
    const question = { filter, limit: pageSize, ...(before !== undefined && { before }) }
    return logUnreadable(
      await store.changes.listChanges(question),
      c,
      log,
      'changes that cannot be read were left out of a file',
    )
  }
  const lineOf = format === 'csv' ? csvLine : jsonLine
  const stream = streamPages({
    head: format === 'csv' ? `${columns.join(',')}\r\n` : '',
    first: await page(),
    page,
    toText: ({ changes }) => changes.map(lineOf).join(''),
    onFailure: cutOnFailure(c, log, 'a file of changes broke off'),
  })
  return written(stream, {
    'content-type': format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
    'content-disposition': `attachment; filename="audit.${format}"`,
  })
}

const columns = [
  ...['seq', 'at', 'time', 'actorKind', 'actorId', 'actorName', 'kind', 'object'],
  ...['before', 'after', 'requestId', 'address'],
]

function jsonLine(change: StoredChange): string {
  return `${JSON.stringify(change)}\n`
}

function csvLine({ seq, at, actor, kind, object, before, after, requestId, address }: StoredChange): string {
  const json = (value: unknown) => (value === undefined ? '' : JSON.stringify(value))
  const cells = [
    ...[seq, at, new Date(at).toISOString(), actor.kind, actor.id, actor.name, kind, object],
    ...[json(before), json(after), requestId, address],
  ]
  return `${cells.map((cell) => csvCell(cell ?? '')).join(',')}\r\n`
}
