import { locale } from '#words/words.ts'

const whole = new Intl.NumberFormat(locale)
const compact = new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 1 })
const seconds = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })

/** Above a million shortened; the exact figure belongs into a title beside it. */
export const short = (figure: number) =>
  Math.abs(figure) >= 1e6 ? compact.format(figure) : whole.format(figure)
export const exact = (figure: number) => whole.format(figure)

export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${seconds.format(ms / 1000)} s`
}

const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
const absolute = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
const steps = [
  ['year', 31_557_600_000],
  ['month', 2_629_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

export function ago(at: number, now = Date.now()): string {
  const gap = at - now
  const [unit, length] = steps.find(([, length]) => Math.abs(gap) >= length) ?? (['second', 1000] as const)
  return relative.format(Math.round(gap / length), unit)
}

export const fullTime = (at: number) => absolute.format(at)

/** The latest time that a Date can hold. */
const instantMax = 8_640_000_000_000_000

/** As `<input type="datetime-local">` takes it, in the viewer's zone. */
export function localInput(at: number | undefined): string {
  if (at === undefined) return ''
  const offset = new Date(at).getTimezoneOffset() * 60_000
  const text = new Date(Math.min(at - offset, instantMax)).toISOString()
  return text.replace(/^\+0*/, '').slice(0, -':00.000Z'.length)
}

/** What stands in such an input as epoch milliseconds; as it stands where it is no time, for the server to refuse. */
export function instantOf(text: string): number | string {
  const at = new Date(text.replace(/^\d{5,6}(?=-)/, (year) => `+${year.padStart(6, '0')}`)).getTime()
  return Number.isNaN(at) ? text : at
}
