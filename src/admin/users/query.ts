import { isDeepStrictEqual } from 'node:util'
import { z } from '@hono/zod-openapi'
import { wholeParameter } from '#admin/wire/fields.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import type { UserFilter, UserPageRequest } from '#core/user-list.ts'
import { read } from '#lib/reading.ts'
import { type ListCursor, parseListCursor, sortFields, sortNames } from './cursor.ts'
import { type FilterParts, filterParameters, toFilter } from './filter.ts'

/** A query on the list: all users, or one page. */
export type ListQuery = { readonly kind: 'all' } | ListPageQuery

export interface ListPageQuery {
  readonly kind: 'page'
  readonly limit: number
  readonly sort: string | undefined
  readonly filter: UserFilter
  /** Absent on the first page. */
  readonly cursor: ListCursor | undefined
}

const limitDefault = 100
const limitMax = 500

export const listQuerySchema = z.object({
  limit: wholeParameter(limitMax, 4).optional().openapi({ default: limitDefault }),
  cursor: z.string().max(4000).optional().openapi({ description: '`nextCursor` of the previous page.' }),
  sort: z.enum(sortNames).optional().openapi({ description: 'A minus sign sorts descending.' }),
  ...filterParameters,
})

/** Any parameter asks for a page; without one the list has all users. */
export function parseListQuery(values: ReadonlyMap<string, string>, parts: FilterParts): Parsed<ListQuery> {
  const fields = parseBy(listQuerySchema, Object.fromEntries(values))
  if (fields.kind === 'invalid') return fields
  const { limit = limitDefault, cursor: cursorText, sort, ...narrowing } = fields.value
  if (![...Object.keys(listQuerySchema.shape)].some((name) => values.has(name))) {
    return read({ kind: 'all' })
  }
  const filter = toFilter(narrowing, parts)
  if (filter.kind === 'invalid') return filter
  const asked = filter.value
  if (cursorText === undefined) {
    return read({ kind: 'page', limit, sort, filter: asked, cursor: undefined })
  }
  const cursor = parseListCursor(cursorText)
  if (!cursor) return invalid('cursor', 'is not one that a list of users gave')
  if (!belongs(cursor, sort, asked)) return invalid('cursor', 'belongs to a list with another sort or filter')
  return read({ kind: 'page', limit, sort: cursor.sort, filter: cursor.filter, cursor })
}

/** The store's request for the page. */
export function toPageRequest(query: ListPageQuery, now: number): UserPageRequest {
  const field = sortFields.find((name) => name === query.sort?.replace('-', ''))
  return {
    filter: query.filter,
    limit: query.limit,
    now,
    ...(field && { sort: { field, descending: query.sort?.startsWith('-') ?? false } }),
    ...(query.cursor && { after: query.cursor.after }),
  }
}

/** Parameters sent with a cursor must equal the cursor's; missing ones are taken from it. */
function belongs(cursor: ListCursor, sort: string | undefined, asked: UserFilter): boolean {
  const its: Readonly<Record<string, unknown>> = { ...cursor.filter }
  const isSame = ([name, value]: readonly [string, unknown]) => isDeepStrictEqual(value, its[name])
  return (sort === undefined || sort === cursor.sort) && Object.entries(asked).every(isSame)
}
