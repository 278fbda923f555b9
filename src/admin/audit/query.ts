import type { ChangeQuestion } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { parseAskedTime } from '#metering/usage-range.ts'
import { type auditFormats, auditQuerySchema, changesDefault } from './schemas.ts'

export interface AuditQuery {
  readonly question: ChangeQuestion
  readonly format: (typeof auditFormats)[number]
}

export function parseAuditQuery(values: ReadonlyMap<string, string>, timeZone: string): Parsed<AuditQuery> {
  const fields = parseBy(auditQuerySchema, Object.fromEntries(values))
  const times = ['from', 'to'].flatMap((name) => {
    const text = values.get(name)
    return text === undefined ? [] : [{ name, time: parseAskedTime(name, text, timeZone) }]
  })
  const issues: Issue[] = [fields, ...times.map(({ time }) => time)].flatMap((each) =>
    each.kind === 'invalid' ? [...each.issues] : [],
  )
  if (fields.kind === 'invalid' || issues.length > 0) return { kind: 'invalid', issues }
  const { cursor, limit = changesDefault, format = 'json', from: _from, to: _to, ...rest } = fields.value
  const at = Object.fromEntries(
    times.map(({ name, time }) => [name, time.kind === 'read' ? time.value : undefined]),
  )
  const filter: ChangeQuestion['filter'] = present({ ...rest, ...at })
  if (filter.from !== undefined && filter.to !== undefined && filter.from >= filter.to)
    return invalid('from', 'must be before to')
  if (format !== 'json' && (cursor !== undefined || values.has('limit')))
    return invalid(cursor === undefined ? 'limit' : 'cursor', 'goes with pages: a file has all changes')
  const question = { filter, limit, ...(cursor !== undefined && { before: Number(cursor) }) }
  return read({ question, format })
}
