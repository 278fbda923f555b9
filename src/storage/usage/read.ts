import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Policy } from '#core/admission.ts'
import { sharedUsageOf } from '#core/front-end.ts'
import {
  type UsageBucket,
  type UsageDimension,
  type UsageQuestion,
  type UsageRow,
  userDimensions,
} from '#core/usage-question.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, sumOfKinds, usageSums, weighedSum, wideSum } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UsageStore } from '#storage/store.ts'
import { withTag } from '#storage/users/filter.ts'

/**
 * Usage in buckets of time, read from roll-ups and never from single requests. The totals of all users have tables of
 * their own, by minute and by hour, with few rows. The usage of one user, or by user, is stored in minutes until
 * upkeep gathers them into hours, so both tables are read and added up. A row is in exactly one of the two, and one
 * statement reads one snapshot.
 *
 * So minutes of a user reach back only until upkeep has gathered them, and minutes of the totals as long as they are
 * kept. Hours and days reach back to the first request.
 */
const bucketMs: Readonly<Record<Exclude<UsageBucket, 'day'>, number>> = { minute: 60_000, hour: 3_600_000 }
const hourMs = bucketMs.hour

const columns: Readonly<
  Record<UsageDimension, 'user_id' | 'tag' | 'family' | 'model' | 'upstream' | 'status'>
> = {
  user: 'user_id',
  tag: 'tag',
  family: 'family',
  model: 'model',
  upstream: 'upstream',
  status: 'status',
}

/** A part of the requested time that one statement reads; both ends are whole hours, or whole minutes. */
interface Range {
  readonly from: number
  readonly to: number
  /** The bucket of the whole range; absent where each row has its own. */
  readonly at?: number
  /** Whether a user's usage of that time may still be stored in minutes. */
  readonly hasMinutes: boolean
}

export function createUsageReader(db: Kysely<Schema>, policy: Policy) {
  async function rangesOf(question: UsageQuestion): Promise<readonly Range[]> {
    const { bucket } = question
    if (bucket === 'minute') return [wholeRange(question, bucketMs.minute)]
    const isOfEverybody = isByUser(question) && question.userId === undefined
    // Minutes have no index by time and are scanned, so they are read only for hours that can have some.
    const minutesFrom = isOfEverybody ? await oldestMinute(db) : 0
    if (bucket === 'day') return dayRanges(question, policy, minutesFrom)
    return isOfEverybody ? hourRanges(question, minutesFrom) : [wholeRange(question, hourMs)]
  }

  return {
    long: {
      async readUsage(question) {
        const rows: UsageRow[] = []
        for (const range of await rangesOf(question)) {
          if (rows.length >= question.limit) break
          const { rows: found } = await statement(question, range, question.limit - rows.length).execute(db)
          for (const row of found) rows.push(toUsageRow(row, question.groupBy, range))
        }
        return rows
      },
    },
  } satisfies MethodGroups<UsageStore>
}

function isByUser({ userId, tag, groupBy }: UsageQuestion): boolean {
  return userId !== undefined || tag !== undefined || groupBy.some((name) => userDimensions.includes(name))
}

function wholeRange({ from, to }: UsageQuestion, lengthMs: number): Range {
  return { from: floorTo(from, lengthMs), to: ceilTo(to, lengthMs), hasMinutes: true }
}

/**
 * Days of the configured time zone. Each day is a statement of its own, which takes a third of the time of one
 * statement that sorts all hours into days. An hour belongs to the day in which it begins.
 */
function dayRanges(question: UsageQuestion, policy: Policy, minutesFrom: number): readonly Range[] {
  const ranges: Range[] = []
  let day = policy.periodAt('daily', question.from)
  while (day.startAt < question.to) {
    const to = ceilTo(day.endAt, hourMs)
    ranges.push({ at: day.startAt, from: ceilTo(day.startAt, hourMs), to, hasMinutes: to > minutesFrom })
    day = policy.periodAt('daily', day.endAt)
  }
  return ranges
}

/** Hour by hour: a report over all users returns its first rows before the rest is sorted. */
function hourRanges(question: UsageQuestion, minutesFrom: number): readonly Range[] {
  const { from, to } = wholeRange(question, hourMs)
  const withMinutesFrom = Math.min(to, Math.max(from, floorTo(minutesFrom, hourMs)))
  const ranges: Range[] = []
  for (let at = from; at < withMinutesFrom; at += hourMs)
    ranges.push({ at, from: at, to: at + hourMs, hasMinutes: false })
  return [...ranges, { from: withMinutesFrom, to, hasMinutes: true }]
}

/** Infinity without any minute; one that is no number sorts after all others. */
async function oldestMinute(db: Kysely<Schema>): Promise<number> {
  const { at } = await db
    .selectFrom('usage_minutes')
    .select((e) => e.fn.min<number | null>('minute_at').as('at'))
    .executeTakeFirstOrThrow()
  return typeof at === 'number' ? at : Number.POSITIVE_INFINITY
}

type Row = Readonly<Record<string, unknown>>

function statement(question: UsageQuestion, range: Range, limit: number): RawBuilder<Row> {
  const groups = question.groupBy.map((dimension) => sql.ref(columns[dimension]))
  const keys = range.at === undefined ? [sql.ref('at'), ...groups] : groups
  const grouped = keys.length === 0 ? sql`` : sql`group by ${sql.join(keys)}`
  const ordered = keys.length === 0 ? sql`` : sql`order by ${sql.join(keys)}`
  const selected = sql.join([...keys, ...sums])
  // Usage that was counted and taken out again is no row. Without a group the sum of nothing would be a row as well.
  return sql<Row>`select ${selected} from (${taggedSourceOf(question, range)}) as rolled_up
    ${grouped} having ${requests} <> 0 or ${kinds} <> 0 or ${units} <> 0 ${ordered} limit ${limit}`
}

const figures = sql.raw([...usageSums, 'weighing'].join(', '))
const requests = sql.raw(wideSum('requests'))
const kinds = sql.raw(wideSum(sumOfKinds))
const units = sql.raw(wideSum(weighedSum))
const dimensions = sql.raw('family, model, upstream, status')
const sums = [
  ...usageSums.map((name) => sql`${sql.raw(wideSum(name))} as ${sql.ref(name)}`),
  sql`${units} as units`,
]

/** Each row once with each tag of its user, where it is grouped by tag. */
function taggedSourceOf(question: UsageQuestion, range: Range): RawBuilder<unknown> {
  const source = sourceOf(question, range)
  if (!question.groupBy.includes('tag')) return source
  return sql`select untagged.*, coalesce(user_tags.tag, '') as tag from (${source}) as untagged
    left join user_tags on user_tags.user_id = untagged.user_id`
}

function sourceOf(question: UsageQuestion, range: Range): RawBuilder<unknown> {
  const { bucket, userId } = question
  const owner = userId === undefined ? sql`user_id` : sql`cast(${userId} as text) as user_id`
  const those = (at: string) => conditions(question, sql.ref(at), range)
  if (!isByUser(question)) {
    const [table, at] = bucket === 'minute' ? ['total_minutes', 'minute_at'] : ['total_hours', 'hour_at']
    return sql`select ${sql.ref(at)} as at, ${dimensions}, ${figures} from ${sql.table(table)} where ${those(at)}`
  }
  const hourOfMinute = sql`minute_at - minute_at % ${sql.lit(hourMs)}`
  const minutes = (at: RawBuilder<unknown>) =>
    sql`select ${at} as at, ${owner}, ${dimensions}, ${figures} from usage_minutes where ${those('minute_at')}`
  if (bucket === 'minute') return minutes(sql.ref('minute_at'))
  const hours = sql`select hour_at as at, ${owner}, ${dimensions}, ${figures} from usage_hours where ${those('hour_at')}`
  return range.hasMinutes ? sql`${hours} union all ${minutes(hourOfMinute)}` : hours
}

function conditions(
  question: UsageQuestion,
  at: RawBuilder<unknown>,
  { from, to }: Range,
): RawBuilder<unknown> {
  const { tag, family, model, upstream, status } = question
  const wanted = { family, model, upstream, status }
  const equal = Object.entries(wanted).flatMap(([name, value]) =>
    value === undefined ? [] : [sql`${sql.ref(name)} = ${value}`],
  )
  const tagged = tag === undefined ? [] : [sql`user_id in (${withTag(tag)})`]
  return sql.join(
    [...whose(question), sql`${at} >= ${from}`, sql`${at} < ${to}`, ...equal, ...tagged],
    sql` and `,
  )
}

/**
 * The usage of one user is, for a front end, also that of its people. Where several users are told apart, it is left to
 * the people, so that the rows add up to the totals.
 */
function whose(question: UsageQuestion): readonly RawBuilder<unknown>[] {
  const { userId } = question
  if (userId !== undefined) return [sql`user_id in (${userId}, ${sharedUsageOf(userId)})`]
  return isByUser(question) ? [sql`user_id not like ${sharedUsageOf('%')}`] : []
}

/** Stands for a name that cannot be read, so that the sums stay those of all usage. */
const damaged = '(damaged)'

function toUsageRow(row: Row, groupBy: readonly UsageDimension[], range: Range): UsageRow {
  const text = (dimension: UsageDimension) => {
    if (!groupBy.includes(dimension)) return undefined
    const value = row[columns[dimension]]
    return typeof value === 'string' ? value : damaged
  }
  const [userId, tag, family] = [text('user'), text('tag'), text('family')]
  const [model, upstream] = [text('model'), text('upstream')]
  return {
    at: range.at ?? integer(row.at),
    ...(userId !== undefined && { userId }),
    ...(tag !== undefined && { tag }),
    ...(family !== undefined && { family }),
    ...(model !== undefined && { model }),
    ...(upstream !== undefined && { upstream }),
    ...(groupBy.includes('status') && { status: typeof row.status === 'number' ? integer(row.status) : 0 }),
    requests: integer(row.requests),
    estimated: integer(row.estimated),
    usage: {
      input: integer(row.input),
      cacheRead: integer(row.cache_read),
      cacheWritten: integer(row.cache_written),
      output: integer(row.output),
      reasoning: integer(row.reasoning),
    },
    units: integer(row.units),
  }
}

function floorTo(at: number, lengthMs: number): number {
  return Math.floor(at / lengthMs) * lengthMs
}

function ceilTo(at: number, lengthMs: number): number {
  return Math.ceil(at / lengthMs) * lengthMs
}
