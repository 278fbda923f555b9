import { isEmptyRange, withAskedRange } from '#admin/request/asked-range.ts'
import type { RequestFilter, RequestQuestion } from '#core/booked-request.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { parseRequestCursor } from './cursor.ts'
import { requestQuerySchema, requestsDefault } from './schemas.ts'

/** A query on the ledger: one entry, or a page of those that a filter selects. */
export type RequestQuery =
  | { readonly kind: 'one'; readonly id: string }
  | { readonly kind: 'page'; readonly question: RequestQuestion }

export function parseRequestQuery(
  values: ReadonlyMap<string, string>,
  timeZone: string,
): Parsed<RequestQuery> {
  const query = withAskedRange(parseBy(requestQuerySchema, Object.fromEntries(values)), values, timeZone)
  if (query.kind === 'invalid') return query
  const { fields, range } = query.value
  const { id, user, cursor, limit = requestsDefault, from: _from, to: _to, ...rest } = fields
  if (id !== undefined)
    return values.size === 1 ? read({ kind: 'one', id }) : invalid('id', 'stands alone: it names one request')
  const asked: RequestFilter = present({ ...rest, ...range, userId: user })
  if (isEmptyRange(range)) return invalid('from', 'must be before to')
  if (cursor === undefined) return page({ filter: asked, limit })
  const place = parseRequestCursor(cursor)
  if (!place) return invalid('cursor', 'is not one that a list of requests gave')
  if (!belongs(asked, place.filter)) return invalid('cursor', 'belongs to a list with another filter')
  return page({ filter: place.filter, after: place.after, limit })
}

/** Parameters sent with a cursor must equal the cursor's; missing ones are taken from it. */
function belongs(asked: RequestFilter, known: RequestFilter): boolean {
  const names = Object.keys(asked) as (keyof RequestFilter)[]
  return names.every((name) => asked[name] === known[name])
}

function page(question: RequestQuestion): Parsed<RequestQuery> {
  return read({ kind: 'page', question })
}
