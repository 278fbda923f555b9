import { type Invalid, invalid, type Parsed } from '#core/parsed.ts'
import type { UsageBucket, UsageDimension } from '#core/usage-question.ts'
import { read } from '#lib/reading.ts'
import { parseDimensions, parseUsageRange, type UsageRange } from '#metering/usage-range.ts'
import { reportUsage, type UsageReportRow } from '#metering/usage-report.ts'
import type { UsageStore } from '#storage/store.ts'

/** A user's own usage over time, where a parameter asks for it. */
export interface UsageHistory extends UsageRange {
  /** Days follow this time zone. */
  readonly timeZone: string
  readonly groupBy: readonly UsageDimension[]
  /** In the order of time; a bucket without usage has no row. */
  readonly rows: readonly UsageReportRow[]
  readonly truncated: boolean
}

export type HistoryQuestion = UsageRange & { readonly groupBy: readonly UsageDimension[] }

const parameters = ['bucket', 'from', 'to', 'groupBy']
/** Without `upstream`: only the operator sees which upstream served a request. */
const dimensions: readonly UsageDimension[] = ['family', 'model', 'status']
const rowsMax = 10_000

const dayMs = 86_400_000
const lengths: Readonly<Record<UsageBucket, number>> = { minute: dayMs, hour: 7 * dayMs, day: 30 * dayMs }

/** Any of the parameters asks for the history, the others have their defaults; undefined where none is given. */
export function parseHistory(
  given: URLSearchParams,
  now: number,
  timeZone: string,
): Parsed<HistoryQuestion | undefined> {
  const stray = [...given.keys()].find((name) => !parameters.includes(name))
  if (stray !== undefined) return unfit(stray, `is not known; known are ${parameters.join(', ')}`)
  const values = new Map(given)
  if (values.size === 0) return read(undefined)
  const twice = [...values.keys()].find((name) => given.getAll(name).length > 1)
  if (twice !== undefined) return unfit(twice, 'is given twice')
  const asked = values.get('bucket')
  const lengthMs = asked === 'minute' || asked === 'hour' ? lengths[asked] : lengths.day
  const range = parseUsageRange(values, { now, timeZone, lengthMs, bucket: 'day' })
  const groupBy = parseDimensions(values.get('groupBy') ?? 'family', dimensions)
  if (range.kind === 'read' && groupBy.kind === 'read')
    return read({ ...range.value, groupBy: groupBy.value })
  return {
    kind: 'invalid',
    issues: [range, groupBy].flatMap((reading) => (reading.kind === 'invalid' ? reading.issues : [])),
  }
}

function unfit(name: string, message: string): Invalid {
  return invalid(name.slice(0, 80).toWellFormed(), message)
}

export async function tellHistory(
  store: UsageStore,
  userId: string,
  question: HistoryQuestion,
  timeZone: string,
): Promise<UsageHistory> {
  const { bucket, from, to, groupBy } = question
  const report = await reportUsage(store, { ...question, userId, limit: rowsMax })
  return { bucket, from, to, timeZone, groupBy, ...report }
}
