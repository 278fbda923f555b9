import { addUnits } from '#core/units.ts'
import { type ExtraFigure, toBoundedExtras, type UsageExtras } from '#core/usage-extras.ts'
import { type JsonRecord, recordOf } from './figures.ts'

/** Gathers what an answer states beside its units, in one form for all protocols. */
export interface ExtrasGatherer {
  /** The figure of the part at hand; a later one takes its place. */
  readonly set: (key: ExtraFigure, figure: number | undefined) => void
  /** Every count in it; `web_search`, `web_search_requests` and `web_search_calls` are one name. */
  readonly setTools: (counts: JsonRecord | undefined) => void
  readonly setTier: (tier: unknown) => void
  /** See `UsageReader`. */
  readonly startPart: () => void
  readonly extras: () => UsageExtras | undefined
}

const countSuffix = /_(?:requests|calls|queries)$/

export function createExtrasGatherer(): ExtrasGatherer {
  const before = new Map<ExtraFigure, number>()
  const figures = new Map<ExtraFigure, number>()
  const tools = new Map<string, number>()
  let tier: unknown
  return {
    set(key, figure) {
      if (figure !== undefined) figures.set(key, addUnits(before.get(key) ?? 0, figure))
    },
    setTools(counts) {
      for (const [name, count] of Object.entries(counts ?? {})) {
        const requests = recordOf(count)?.num_requests ?? count
        if (typeof requests !== 'number') continue
        const tool = name.replace(countSuffix, '')
        tools.set(tool, Math.max(tools.get(tool) ?? 0, requests))
      }
    },
    setTier(stated) {
      if (stated !== undefined && stated !== null) tier = stated
    },
    startPart() {
      for (const [key, figure] of figures) before.set(key, figure)
    },
    extras: () =>
      toBoundedExtras({
        ...Object.fromEntries(figures),
        toolRequests: Object.fromEntries(tools),
        serviceTier: tier,
      }),
  }
}
