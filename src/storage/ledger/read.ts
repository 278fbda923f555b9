import { type Kysely, type RawBuilder, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import {
  type BookedRequest,
  type RequestFilter,
  type RequestPage,
  type RequestQuestion,
  requestStates,
} from '#core/booked-request.ts'
import { type RequestPrefix, requestPrefixes } from '#core/request-prefixes.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, optional, readEach, text, units } from '#storage/schema/columns.ts'
import type { EntryRow, Schema } from '#storage/schema/tables.ts'
import type { RequestStore } from '#storage/store.ts'
import { parseExtras } from './rows.ts'
import { placeOf, readBelow } from './user-requests.ts'

/**
 * The ledger's entries, newest first. An id begins with a prefix that says where the request came in, then the time:
 * the primary key finds both. The entries of one user stand in `user_requests`, up to the point to which they were
 * gathered. A condition without an index (a model, a status; for one user the newest entries) is checked on a bounded
 * number of entries a page. Such a page may hold fewer entries than asked for and still have a next page.
 */

/** Few enough to be read within some milliseconds. */
const lookedAtMax = 20_000
/** Sorts after every id. */
const beyondAll = '~'

/** Ids of one prefix: from `least`, and before `below`. */
interface Range {
  readonly least: string
  readonly below: string
}

type Row = Selectable<EntryRow>

export function createEntryReader(db: Kysely<Schema>) {
  return {
    long: {
      async findRequest(id) {
        if (!requestPrefixes.some((prefix) => id.startsWith(prefix))) return undefined
        const row = await db.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirst()
        return row && toBooked(row)
      },

      async listRequests(question) {
        const { userId, state } = question.filter
        // Read before the entries: an entry that is gathered meanwhile is then still found among all entries.
        const gathered = userId === undefined || state === 'open' ? undefined : await readBelow(db)
        const found = await Promise.all(
          requestPrefixes.flatMap((prefix) => {
            const range = rangeOf(prefix, question)
            if (state === 'open') return [lookAmongOpen(db, range, question)]
            if (userId === undefined || gathered === undefined) return [lookAmongAll(db, range, question)]
            const border = prefix + gathered
            return [
              lookAmongAll(db, { ...range, least: later(range.least, border) }, question),
              lookInUser(db, { ...range, below: earlier(range.below, border) }, question, userId),
            ]
          }),
        )
        return pageOf(found, question.limit)
      },
    },
  } satisfies MethodGroups<RequestStore>
}

const earlier = (a: string, b: string) => (a < b ? a : b)
const later = (a: string, b: string) => (a > b ? a : b)

function rangeOf(prefix: RequestPrefix, { filter: { from = 0, to }, after }: RequestQuestion): Range {
  const until = to === undefined ? beyondAll : sortableIdFrom('', to)
  return { least: sortableIdFrom(prefix, from), below: prefix + earlier(until, after ?? beyondAll) }
}

interface Found {
  readonly rows: readonly Row[]
  /** The id down to which entries were checked, where there may be more below it. */
  readonly lookedTo?: string
}

/** By the primary key. */
async function lookAmongAll(db: Kysely<Schema>, range: Range, question: RequestQuestion): Promise<Found> {
  const base = db.selectFrom('entries').where('id', '>=', range.least).where('id', '<', range.below)
  const ids = base.select('id').orderBy('id', 'desc')
  const conditions = conditionsOf(question.filter)
  const boundary = conditions.length > 0 ? await boundaryOf(ids) : undefined
  const rows = await (boundary === undefined ? base : base.where('id', '>=', boundary))
    .where(allOf(conditions))
    .selectAll()
    .orderBy('id', 'desc')
    .limit(question.limit + 1)
    .execute()
  return { rows, ...(boundary !== undefined && { lookedTo: placeOf(boundary) }) }
}

/** Few entries are open: their partial index finds them. */
async function lookAmongOpen(db: Kysely<Schema>, range: Range, question: RequestQuestion): Promise<Found> {
  const id = sql<string>`id || ''`
  const rows = await db
    .selectFrom('entries')
    .where(id, '>=', range.least)
    .where(id, '<', range.below)
    .where(sql<boolean>`state = 'open'`)
    .where(allOf(conditionsOf(question.filter)))
    .selectAll()
    .orderBy(id, 'desc')
    .limit(question.limit + 1)
    .execute()
  return { rows }
}

/** Among the gathered requests of one user. */
async function lookInUser(
  db: Kysely<Schema>,
  range: Range,
  question: RequestQuestion,
  userId: string,
): Promise<Found> {
  const base = db
    .selectFrom('user_requests')
    .where('user_requests.user_id', '=', userId)
    .where('user_requests.id', '>=', range.least)
    .where('user_requests.id', '<', range.below)
  const ids = base.select('user_requests.id').orderBy('user_requests.id', 'desc')
  const { userId: _, ...others } = question.filter
  const conditions = conditionsOf(others)
  const boundary = conditions.length > 0 ? await boundaryOf(ids) : undefined
  const rows = await (boundary === undefined ? base : base.where('user_requests.id', '>=', boundary))
    .crossJoin('entries')
    .whereRef('entries.id', '=', 'user_requests.id')
    .where(allOf(conditions))
    .selectAll('entries')
    .orderBy('user_requests.id', 'desc')
    .limit(question.limit + 1)
    .execute()
  return { rows, ...(boundary !== undefined && { lookedTo: placeOf(boundary) }) }
}

/** The last id that is checked for one page; undefined where fewer are left. */
async function boundaryOf(
  ids: SelectQueryBuilder<Schema, never, { id: string }>,
): Promise<string | undefined> {
  const row = await ids
    .limit(1)
    .offset(lookedAtMax - 1)
    .executeTakeFirst()
  return row?.id
}

/** The conditions that are checked entry by entry. */
function conditionsOf({ userId, state, ...others }: RequestFilter): readonly RawBuilder<boolean>[] {
  const { status, code, family, model, upstream } = others
  const equal = {
    user_id: userId,
    state: state === 'open' ? undefined : state,
    ...{ status, error_code: code, family, model },
    upstream: upstream === '' ? undefined : upstream,
  }
  const conditions = Object.entries(equal).flatMap(([column, value]) =>
    value === undefined ? [] : [sql<boolean>`${sql.ref(`entries.${column}`)} = ${value}`],
  )
  return upstream === '' ? [...conditions, sql<boolean>`entries.upstream is null`] : conditions
}

function allOf(conditions: readonly RawBuilder<boolean>[]): RawBuilder<boolean> {
  return conditions.length === 0 ? sql<boolean>`1 = 1` : sql<boolean>`${sql.join(conditions, sql` and `)}`
}

/** The newest entries of all sources, down to the point to which every source was searched. */
function pageOf(found: readonly Found[], limit: number): RequestPage {
  const lookedTo = found.flatMap((each) => each.lookedTo ?? []).reduce((a, b) => (a > b ? a : b), '')
  const rows = found
    .flatMap((each) => each.rows)
    .filter(({ id }) => placeOf(id) >= lookedTo)
    .toSorted((a, b) => (placeOf(a.id) < placeOf(b.id) ? 1 : -1))
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const next = rows.length > limit && last ? placeOf(last.id) : lookedTo
  const { items: requests, unreadable } = readEach(page, toBooked)
  return { requests, ...(unreadable.length > 0 && { unreadable }), ...(next !== '' && { next }) }
}

function toBooked(row: Row): BookedRequest {
  const extras = parseExtras(row.extras)
  const state = requestStates.find((each) => each === row.state)
  if (!state) throw new TypeError(`stored ${row.state} is not a state of an entry`)
  const figure = <Name extends string>(name: Name, value: unknown) => {
    const read = optional(value, integer)
    return read === null ? {} : ({ [name]: read } as Record<Name, number>)
  }
  return {
    id: row.id,
    userId: text(row.user_id),
    startedAt: integer(row.started_at),
    route: text(row.route),
    family: text(row.family),
    model: text(row.model),
    state,
    isEstimated: integer(row.is_estimated) !== 0,
    hold: units(row.hold),
    usage: {
      input: units(row.input),
      cacheRead: units(row.cache_read),
      cacheWritten: units(row.cache_written),
      output: units(row.output),
      reasoning: units(row.reasoning),
    },
    units: integer(row.units),
    ...(extras && { extras }),
    ...figure('status', row.status),
    ...figure('endedAt', row.ended_at),
    ...figure('durationMs', row.duration_ms),
    ...figure('firstByteMs', row.first_byte_ms),
    ...(row.error_code !== null && { code: text(row.error_code) }),
    ...(row.upstream !== null && { upstream: text(row.upstream) }),
    ...(row.address !== null && { address: text(row.address) }),
  }
}
