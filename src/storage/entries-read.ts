import { type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import {
  type BookedRequest,
  type RequestFilter,
  type RequestPage,
  type RequestQuestion,
  requestStates,
} from '#core/booked-request.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'
import { integer, optional, units } from './columns.ts'
import { parseExtras } from './ledger-rows.ts'
import type { EntryRow, Schema } from './schema.ts'
import type { RequestStore } from './store.ts'

/**
 * The ledger's entries, newest first. Ids begin with the time behind a prefix that says where the request came in, so
 * that time and place are found by the key of the table, a user's by an index. What no index knows (a model, a status) is
 * looked for among so many entries a page: a page may then hold less than was asked for, and still have a next.
 */
const prefixes = ['req_', 'res_', 'evt_'] as const
type Prefix = (typeof prefixes)[number]
const prefixLength = 4
/** Few enough to be read in some milliseconds. */
const lookedAtMax = 20_000
/** Sorts after every id. */
const beyondAll = '~'

/** Where entries of one prefix are looked for. */
interface Source {
  readonly prefix: Prefix
  readonly of: 'all' | 'closed' | 'open'
}

type Row = Selectable<EntryRow>
type EntryQuery<Selected> = SelectQueryBuilder<Schema, 'entries', Selected>

export function createEntryReader(db: Kysely<Schema>): RequestStore {
  return {
    async findRequest(id) {
      if (!prefixes.some((prefix) => id.startsWith(prefix))) return undefined
      const row = await db.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toBooked(row)
    },

    async listRequests(question) {
      const found = await Promise.all(sourcesOf(question.filter).map((source) => look(db, source, question)))
      return pageOf(found, question.limit)
    },
  }
}

/** An open entry stands in an index of its own, since a user's holds closed ones alone. */
function sourcesOf({ userId, state }: RequestFilter): readonly Source[] {
  const of =
    state === 'open' ? (['open'] as const) : userId === undefined ? (['all'] as const) : partsOf(state)
  return prefixes.flatMap((prefix) => of.map((each) => ({ prefix, of: each })))
}

function partsOf(state: RequestFilter['state']): readonly ('closed' | 'open')[] {
  return state === undefined ? ['closed', 'open'] : ['closed']
}

interface Found {
  readonly rows: readonly Row[]
  /** The place down to which was looked, where there may be more below it. */
  readonly lookedTo?: string
}

async function look(db: Kysely<Schema>, source: Source, question: RequestQuestion): Promise<Found> {
  const base = ranged(db.selectFrom('entries'), source, question)
  const boundary =
    source.of === 'open' || !isSifting(question.filter)
      ? undefined
      : await base
          .select('id')
          .orderBy('id', 'desc')
          .limit(1)
          .offset(lookedAtMax - 1)
          .executeTakeFirst()
  const within = boundary ? base.where('id', '>=', boundary.id) : base
  const rows = await sifted(within, question.filter)
    .selectAll()
    .orderBy(source.of === 'open' ? unindexedId : sql.ref('id'), 'desc')
    .limit(question.limit + 1)
    .execute()
  return { rows, ...(boundary && { lookedTo: placeOf(boundary.id) }) }
}

/** Of few rows, which another index than the key's has to find. */
const unindexedId = sql<string>`id || ''`

function ranged<Selected>(
  query: EntryQuery<Selected>,
  { prefix, of }: Source,
  { filter: { from, to, userId }, after }: RequestQuestion,
): EntryQuery<Selected> {
  const bounds = [
    ...(to === undefined ? [] : [sortableIdFrom(prefix, to)]),
    ...(after === undefined ? [] : [prefix + after]),
  ]
  const below = bounds.toSorted()[0] ?? prefix + beyondAll
  const least = sortableIdFrom(prefix, from ?? 0)
  const id = of === 'open' ? unindexedId : sql.ref<string>('id')
  const whose = userId === undefined ? query : query.where('user_id', '=', userId)
  const inRange = whose.where(id, '>=', least).where(id, '<', below)
  switch (of) {
    case 'all':
      return inRange
    case 'closed':
      return inRange.where(sql<boolean>`state <> 'open'`)
    case 'open':
      return inRange.where(sql<boolean>`state = 'open'`)
  }
}

/** Whether entries have to be looked at one by one. */
function isSifting({ from: _from, to: _to, userId: _userId, ...others }: RequestFilter): boolean {
  return Object.values(others).some((value) => value !== undefined)
}

function sifted<Selected>(query: EntryQuery<Selected>, filter: RequestFilter): EntryQuery<Selected> {
  const { state, status, code, family, model, upstream } = filter
  let narrowed = query
  if (state !== undefined && state !== 'open') narrowed = narrowed.where('state', '=', state)
  if (status !== undefined) narrowed = narrowed.where('status', '=', status)
  if (code !== undefined) narrowed = narrowed.where('error_code', '=', code)
  if (family !== undefined) narrowed = narrowed.where('family', '=', family)
  if (model !== undefined) narrowed = narrowed.where('model', '=', model)
  if (upstream !== undefined)
    narrowed =
      upstream === '' ? narrowed.where('upstream', 'is', null) : narrowed.where('upstream', '=', upstream)
  return narrowed
}

/** The newest of all sources, down to where each of them was looked through. */
function pageOf(found: readonly Found[], limit: number): RequestPage {
  const lookedTo = found.flatMap((each) => each.lookedTo ?? []).reduce((a, b) => (a > b ? a : b), '')
  const rows = found
    .flatMap((each) => each.rows)
    .filter(({ id }) => placeOf(id) >= lookedTo)
    .toSorted((a, b) => (placeOf(a.id) < placeOf(b.id) ? 1 : -1))
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const next = rows.length > limit && last ? placeOf(last.id) : lookedTo
  return { requests: page.map(toBooked), ...(next !== '' && { next }) }
}

function placeOf(id: string): string {
  return id.slice(prefixLength)
}

function toBooked(row: Row): BookedRequest {
  const extras = parseExtras(row.extras)
  const state = requestStates.find((each) => each === row.state)
  if (!state) throw new TypeError(`stored ${row.state} is no state of an entry`)
  const figure = <Name extends string>(name: Name, value: unknown) => {
    const read = optional(value, integer)
    return read === null ? {} : ({ [name]: read } as Record<Name, number>)
  }
  return {
    id: row.id,
    userId: row.user_id,
    startedAt: integer(row.started_at),
    route: row.route,
    family: row.family,
    model: row.model,
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
    ...(row.error_code !== null && { code: row.error_code }),
    ...(row.upstream !== null && { upstream: row.upstream }),
    ...(row.address !== null && { address: row.address }),
  }
}
