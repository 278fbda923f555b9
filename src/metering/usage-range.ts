import type { Issue } from '#core/errors.ts'
import { instantOfText, isDate, isInSeconds, secondsMessage } from '#core/instant.ts'
import { invalid, type Parsed } from '#core/parsed.ts'
import { type UsageBucket, type UsageDimension, usageBuckets } from '#core/usage-question.ts'
import { createWallClock } from '#core/wall-clock.ts'
import { read } from '#lib/reading.ts'

/**
 * The time range of a report: `from`, `to` (the first instant after it) and the length of its buckets. Every report is
 * bounded, so that no query can cost more than a chart.
 */
export interface UsageRange {
  readonly bucket: UsageBucket
  readonly from: number
  readonly to: number
}

export interface RangeDefaults {
  readonly now: number
  /** IANA name; a date alone begins where its day begins there. */
  readonly timeZone: string
  /** The length of the range if `from` is not given. */
  readonly lengthMs: number
  /** Absent: a bucket that suits the length. */
  readonly bucket?: UsageBucket
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Each bucket's length (a day's is about that), how many are answered at most, and what to ask for instead. */
const buckets = {
  minute: { ms: 60_000, max: 1_500, name: 'minutes', longer: ', or for hours' },
  hour: { ms: hourMs, max: 10_000, name: 'hours', longer: ', or for days' },
  day: { ms: dayMs, max: 1_100, name: 'days', longer: '' },
} as const
export const bucketsMax: Readonly<Record<UsageBucket, number>> = {
  minute: buckets.minute.max,
  hour: buckets.hour.max,
  day: buckets.day.max,
}

/** The last instant of the year 9999. */
export const latestAsked = 253_402_300_799_999

export function parseUsageRange(
  values: ReadonlyMap<string, string>,
  defaults: RangeDefaults,
): Parsed<UsageRange> {
  const issues: Issue[] = []
  const time = (name: string, byDefault: () => number): number => {
    const text = values.get(name)
    if (text === undefined) return byDefault()
    const time = parseAskedTime(name, text, defaults.timeZone)
    if (time.kind === 'read') return time.value
    issues.push(...time.issues)
    return 0
  }
  const to = time('to', () => defaults.now)
  const from = time('from', () => Math.max(0, to - defaults.lengthMs))
  const asked = values.get('bucket')
  const bucket =
    asked === undefined ? bucketFor(to - from, defaults) : usageBuckets.find((one) => one === asked)
  if (bucket === undefined)
    issues.push({ path: 'bucket', message: `must be one of ${usageBuckets.join(', ')}` })
  if (issues.length > 0 || bucket === undefined) return { kind: 'invalid', issues }
  if (from >= to) return invalid('from', 'must be before to, which is now unless given')
  const { ms, max, name, longer } = buckets[bucket]
  const count = Math.ceil((to - from) / ms)
  if (count <= max) return read({ bucket, from, to })
  const message = `these would be ${count} ${name}, and at most ${max} are answered: ask for a shorter time${longer}`
  return invalid('bucket', message)
}

/** An instant in a query: epoch milliseconds, a date in the time zone, or a time with its offset. */
export function parseAskedTime(name: string, text: string, timeZone: string): Parsed<number> {
  const at = instantIn(text, timeZone)
  const message = faultOf(text, at)
  if (message !== undefined || at === undefined) return invalid(name, message ?? timeMessage)
  return read(at)
}

/** A list of dimensions with commas, each at most once; an empty text is an empty list. */
export function parseDimensions(
  text: string | undefined,
  allowed: readonly UsageDimension[],
): Parsed<readonly UsageDimension[]> {
  const names = (text ?? '').split(',').filter((name) => name !== '')
  const known = names.flatMap((name) => allowed.filter((dimension) => dimension === name))
  if (known.length === names.length && new Set(known).size === known.length) return read(known)
  const message = `must be of ${allowed.join(', ')}, each at most once, with commas between`
  return invalid('groupBy', message)
}

function bucketFor(lengthMs: number, { bucket }: RangeDefaults): UsageBucket {
  if (bucket !== undefined) return bucket
  if (lengthMs <= 2 * hourMs) return 'minute'
  return lengthMs <= 8 * dayMs ? 'hour' : 'day'
}

const timeMessage =
  'must be epoch milliseconds, a date such as 2026-11-22, or a time such as 2026-11-22T13:00:00Z, before the year 10000'

/** What is wrong with a requested time; undefined if it is valid. */
function faultOf(text: string, at: number | undefined): string | undefined {
  if (at === undefined || at < 0 || at > latestAsked) return timeMessage
  return isDigits(text) && isInSeconds(at) ? secondsMessage(at) : undefined
}

function instantIn(text: string, timeZone: string): number | undefined {
  if (isDigits(text)) return Number(text)
  if (/^\d{4}-\d{2}-\d{2}$/.test(text))
    return isDate(text) ? createWallClock(timeZone).instantOf(Date.parse(text)) : undefined
  // A plus sign that was not escaped arrives as a space.
  return instantOfText(text.replace(/ (?=\d{2}:\d{2}$)/, '+'))
}

function isDigits(text: string): boolean {
  return /^\d{1,15}$/.test(text)
}
