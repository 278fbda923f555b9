import { isEmptyRange, withAskedRange } from '#admin/request/asked-range.ts'
import type { ChangeQuestion } from '#core/change.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { type auditFormats, auditQuerySchema, changesDefault } from './schemas.ts'

export interface AuditQuery {
  readonly question: ChangeQuestion
  readonly format: (typeof auditFormats)[number]
}

export function parseAuditQuery(values: ReadonlyMap<string, string>, timeZone: string): Parsed<AuditQuery> {
  const asked = withAskedRange(parseBy(auditQuerySchema, Object.fromEntries(values)), values, timeZone)
  if (asked.kind === 'invalid') return asked
  const { fields, range } = asked.value
  const { cursor, limit = changesDefault, format = 'json', from: _from, to: _to, ...rest } = fields
  const filter: ChangeQuestion['filter'] = present({ ...rest, ...range })
  if (isEmptyRange(range)) return invalid('from', 'must be before to')
  if (format !== 'json' && (cursor !== undefined || values.has('limit')))
    return invalid(cursor === undefined ? 'limit' : 'cursor', 'goes with pages: a file has all changes')
  const question = { filter, limit, ...(cursor !== undefined && { before: Number(cursor) }) }
  return read({ question, format })
}
