import { addUnits } from '#core/units.ts'
import { type ExtraFigure, toBoundedExtras, type UsageExtras } from '#core/usage-extras.ts'
import { type JsonRecord, recordOf } from './figures.ts'

/** Gathers what an answer states beside its units, in one form for all protocols. */
export interface ExtrasGatherer {
  /** Sets a figure of the present part; a later value replaces it. */
  readonly set: (key: ExtraFigure, figure: number | undefined) => void
  /** Takes every count of this object; `web_search`, `web_search_requests` and `web_search_calls` are one name. */
  readonly setTools: (counts: JsonRecord | undefined) => void
  readonly setTier: (tier: unknown) => void
  /** See `UsageReader`. */
  readonly startPart: () => void
  readonly extras: () => UsageExtras | undefined
}

const countSuffix = /_(?:requests|calls|queries)$/

export function createExtrasGatherer(): ExtrasGatherer {
  // Most answers state no extras, so the maps are created with the first figure.
  let before: Map<ExtraFigure, number> | undefined
  let figures: Map<ExtraFigure, number> | undefined
  let tools: Map<string, number> | undefined
  let tier: unknown
  return {
    set(key, figure) {
      if (figure === undefined) return
      figures ??= new Map()
      figures.set(key, addUnits(before?.get(key) ?? 0, figure))
    },
    setTools(counts) {
      if (counts === undefined) return
      tools ??= new Map()
      for (const [name, count] of Object.entries(counts)) {
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
      if (figures) before = new Map(figures)
    },
    extras() {
      if (!figures && !tools && tier === undefined) return undefined
      return toBoundedExtras({
        ...Object.fromEntries(figures ?? []),
        toolRequests: Object.fromEntries(tools ?? []),
        serviceTier: tier,
      })
    },
  }
}
