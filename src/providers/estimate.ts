import type { InputFactors, InputUnits } from '#core/input-kinds.ts'
import type { InputSize, MediaCount } from './input-size.ts'
import { isClaude } from './model-names.ts'
import { addSealed, type Sealed, sealedOf, unitsOfSealed } from './sealed.ts'

/**
 * Estimates the input of a request before the provider has counted it.
 *
 * `usual`: bytes of ASCII / 4, other bytes / 3, an amount for each image, file and tool, each kind corrected by what the
 * provider has counted before. `bound`: one unit per byte, base64 too, and the most for each image and tool besides.
 * Content that the body only points to (a stored file, an earlier answer, the results of a search) and the number of
 * pages in a compressed file cannot be bounded by reading the body.
 */
export type EstimateMode = 'usual' | 'bound'

/**
 * The values before any correction: what each kind costs at a usual size, by the provider's manuals or its own figures.
 * They only have to be near enough for the first requests.
 */
const start = {
  /** The prompt that tells Claude how to use tools: 300 to 700. */
  claudeTools: 500,
  /** A shell or an editor: 250 to 750. */
  clientTool: 600,
  /** A search or a fetch: 2,200 at Claude's provider; its results come on top. */
  serverTool: 2500,
  /** A page or two of text, and one unit for so many bytes of base64: a page of 100 kB is about 2,000. */
  document: 1600,
  documentBytesPerUnit: 100,
  /** Ten units a second; a second of good quality takes 20 kB. */
  sound: 100,
  audioBytesPerUnit: 2000,
} as const

/** Units of an image at usual resolutions, by the first name that matches. */
const imageUnits: readonly (readonly [RegExp, number])[] = [
  // Two tiles of 5,667 on a base of 2,833.
  [/gpt-4o-mini/i, 14_167],
  // Patches, times the factor by which the provider scales tokens of small models.
  [/(gpt-4\.1|gpt-5)[\w.]*-nano/i, 3_800],
  [/(gpt-4\.1|gpt-5|o4)[\w.]*-mini/i, 2_500],
]
/** "Pixels / 750" at most; 765 to 1,105 by the tiles of the other protocol. */
const imageUnitsElsewhere = 1600

/** The largest known values: eight tiles of gpt-4o-mini, and the largest image of models that are served locally. */
const imageBound: readonly (readonly [RegExp, number])[] = [[/gpt-4o-mini/i, 48_169]]
const imageBoundElsewhere = 16_384
/** The template that precedes every prompt, the prompt about tools, and sound that the body only names. */
const templateBound = 96
const toolsBound = 1000
const clientToolBound = 1000
const serverToolBound = 4000
const soundBound = 2000

/** The uncorrected estimate of each kind of content. */
export function unitsByKind(size: InputSize, model: string): InputUnits {
  const { ascii, other, numbers, toolAscii, toolOther, functionTools, clientTools, serverTools } = size
  const media = mediaOf(size)
  const hasTools = functionTools + clientTools > 0
  return {
    plain: ascii / 4 + other / 3 + numbers,
    tools:
      toolAscii / 4 +
      toolOther / 3 +
      clientTools * start.clientTool +
      (hasTools && isClaude(model) ? start.claudeTools : 0),
    serverTools: serverTools * start.serverTool,
    images: media.images > 0 ? media.images * (byName(imageUnits, model) ?? imageUnitsElsewhere) : 0,
    documents: media.documents * start.document + media.documentBytes / start.documentBytesPerUnit,
    audio: media.audio * start.sound + media.audioBytes / start.audioBytesPerUnit,
    sealed: unitsOfSealed(media.sealed),
  }
}

/** LLM units of the input: the sum of the corrected estimates. */
export function usualEstimate(units: InputUnits, factors: InputFactors): number {
  // Written out, since a loop over the names would cost each small request a microsecond.
  return Math.ceil(
    units.plain * factors.plain +
      units.tools * factors.tools +
      units.serverTools * factors.serverTools +
      units.images * factors.images +
      units.documents * factors.documents +
      units.audio * factors.audio +
      units.sealed * factors.sealed,
  )
}

/** LLM units that the input cannot exceed, as far as the body holds it. */
export function boundEstimate(size: InputSize, model: string): number {
  const { bytes, numbers, functionTools, clientTools, serverTools } = size
  const { images, documents, audio } = mediaOf(size)
  return (
    bytes +
    numbers +
    templateBound +
    (functionTools + clientTools > 0 ? toolsBound : 0) +
    clientTools * clientToolBound +
    serverTools * serverToolBound +
    images * (byName(imageBound, model) ?? imageBoundElsewhere) +
    documents * start.document +
    audio * soundBound
  )
}

interface Media extends MediaCount {
  readonly documentBytes: number
  readonly audioBytes: number
  readonly sealed: Sealed
}

const noMedia = { images: 0, documents: 0, audio: 0, documentBytes: 0, audioBytes: 0 }

/**
 * Counts the media of each kind: a part has a type, or base64, or both. Base64 of an unknown kind is counted to a part
 * without base64, or else as sealed content.
 */
function mediaOf(size: InputSize): Media {
  const { parts, payloads, documentBytes, audioBytes, looseCount, looseBytes, sealed } = size
  const images = Math.max(parts.images, payloads.images)
  const documents = Math.max(parts.documents, payloads.documents)
  const audio = Math.max(parts.audio, payloads.audio)
  if (images + documents + audio + looseCount === 0) return { ...noMedia, sealed }
  const media = { images, documents, audio, documentBytes, audioBytes }
  if (looseCount === 0) return { ...media, sealed }
  const each = looseBytes / looseCount
  let left = looseCount
  const give = (without: number) => {
    const given = Math.min(left, without)
    left -= given
    return given
  }
  const audioGiven = give(audio - payloads.audio)
  const documentsGiven = give(documents - payloads.documents)
  give(images - payloads.images)
  const all = sealedOf(each, left)
  addSealed(all, sealed)
  return {
    ...media,
    audioBytes: media.audioBytes + audioGiven * each,
    documentBytes: media.documentBytes + documentsGiven * each,
    sealed: all,
  }
}

function byName(table: readonly (readonly [RegExp, number])[], model: string): number | undefined {
  return table.find(([name]) => name.test(model))?.[1]
}
