import { EventJson } from '#providers/stream/event-json.ts'
import type { StreamWords } from '#providers/stream/words.ts'
import type { PassedUnits } from './provider.ts'
import { unitsOfMedia, unitsOfText } from './text-units.ts'

const noUsageReader = {
  take: () => undefined,
  takeTools: () => undefined,
  takeTier: () => undefined,
  takeModel: () => undefined,
  startPart: () => undefined,
  usage: () => undefined,
  extras: () => undefined,
  models: () => ({ answered: undefined, beside: [] }),
}

export const nothingPassed: PassedUnits = { output: 0, reasoning: 0 }

/** Units of the text in a whole answer. */
export function estimateText(body: Buffer, words: StreamWords): PassedUnits {
  const json = new EventJson(words, noUsageReader)
  json.openBody()
  json.take(body, 0)
  const { text, reasoning, details, media } = json.notes.written
  return {
    output: unitsOfText(text.ascii, text.other) + unitsOfMedia(media.ascii),
    reasoning: Math.max(
      unitsOfText(reasoning.ascii, reasoning.other),
      unitsOfText(details.ascii, details.other),
    ),
  }
}

export function hasPassed({ output, reasoning }: PassedUnits): boolean {
  return output + reasoning > 0
}
