import { isUnits } from './units.ts'

/**
 * Figures that a provider states beside its units and prices apart. They do not count against a quota: cache writes,
 * audio and images are parts of the units of `Usage`, and requests of tools are not units.
 */
export interface UsageExtras {
  /** Requests of the tools that the provider itself ran, by tool: `{ web_search: 3 }`. */
  readonly toolRequests?: Readonly<Record<string, number>>
  /** Of the units written to a cache, those that stay there for an hour. */
  readonly cacheWritten1h?: number
  readonly audioInput?: number
  readonly audioOutput?: number
  readonly imageInput?: number
  readonly imageOutput?: number
  /** The provider's own name: `default`, `flex`, `priority`, `batch`, `fast` … */
  readonly serviceTier?: string
}

const extraFigures = ['cacheWritten1h', 'audioInput', 'audioOutput', 'imageInput', 'imageOutput'] as const
export type ExtraFigure = (typeof extraFigures)[number]

const toolsMax = 16
const word = /^[\w.-]{1,32}$/

/** Whether a name from outside may be stored: short, and only letters, digits and separators. */
function isExtraWord(value: unknown): value is string {
  return typeof value === 'string' && word.test(value)
}

/**
 * The same without absurd and empty figures; undefined where none is left. Figures from outside, of an answer or a
 * stored row, are bounded here.
 */
export function toBoundedExtras(
  extras: UsageExtras | Readonly<Partial<Record<keyof UsageExtras, unknown>>>,
): UsageExtras | undefined {
  const bounded: { -readonly [Key in keyof UsageExtras]: UsageExtras[Key] } = {}
  for (const key of extraFigures) {
    const figure = extras[key]
    if (isUnits(figure) && figure > 0) bounded[key] = figure
  }
  const { toolRequests, serviceTier } = extras
  if (typeof toolRequests === 'object' && toolRequests !== null) {
    const counts = Object.entries(toolRequests)
      .filter(([tool, count]) => isExtraWord(tool) && isUnits(count) && count > 0)
      .slice(0, toolsMax)
    if (counts.length > 0) bounded.toolRequests = Object.fromEntries(counts) as Record<string, number>
  }
  if (isExtraWord(serviceTier)) bounded.serviceTier = serviceTier
  return Object.keys(bounded).length === 0 ? undefined : bounded
}
