import type { InputFactors, InputUnits } from '#core/input-kinds.ts'
import type { InputSize, MediaCount } from './input-size.ts'
import { unitsOfSealed } from './input-walk.ts'
import { isClaude } from './model-names.ts'

/**
 * What the input of a request will about amount to, before the provider has counted it.
 *
 * `usual`: bytes of ASCII / 4, other bytes / 3, an amount for each image, file and tool, each kind corrected by what
 * the provider has counted before.
 * `bound`: one unit per byte, base64 too, and the most for each image and tool besides. What the body only points to (a
 * stored file, an earlier answer, what a search will find), and how many pages a file unpacks to, no reading bounds.
 */
export type EstimateMode = 'usual' | 'bound'

/**
 * Where the corrections start: what a kind costs at a usual size, of which the provider's manuals or its own figures say
 * the most that is certain. Nothing here has to be right; it only has to be near enough for the first requests.
 */
const start = {
  /** What Claude is told of how tools are used: 300 to 700. */
  claudeTools: 500,
  /** A shell or an editor: 250 to 750. */
  clientTool: 600,
  /** A search or a fetch: 2,200 of Claude's; what it finds comes on top. */
  serverTool: 2500,
  /** A page of text or two, and for base64 so many bytes a unit: a page of 100 kB is some 2,000. */
  document: 1600,
  documentBytesPerUnit: 100,
  /** Ten units for a second, of which sound of a good quality takes 20 kB. */
  sound: 100,
  audioBytesPerUnit: 2000,
} as const

/** Units of an image at usual resolutions, by the first name that matches. */
const imageUnits: readonly (readonly [RegExp, number])[] = [
  // Two tiles of 5,667 on a base of 2,833.
  [/gpt-4o-mini/i, 14_167],
  // Patches, times what makes a small model's tokens count as much as a large one's.
  [/(gpt-4\.1|gpt-5)[\w.]*-nano/i, 3_800],
  [/(gpt-4\.1|gpt-5|o4)[\w.]*-mini/i, 2_500],
]
/** "Pixels / 750" at most; 765 to 1,105 by the tiles of the other protocol. */
const imageUnitsElsewhere = 1600

/** The most that is known of: eight tiles of gpt-4o-mini, and the largest image of models that are served locally. */
const imageBound: readonly (readonly [RegExp, number])[] = [[/gpt-4o-mini/i, 48_169]]
const imageBoundElsewhere = 16_384
/** A template that a model puts before everything; what it is told of tools; sound that is only named. */
const templateBound = 96
const toolsBound = 1000
const clientToolBound = 1000
const serverToolBound = 4000
const soundBound = 2000

/** What each kind of content comes to, uncorrected. */
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
    sealed: size.sealed + media.sealed,
  }
}

/** LLM units of the input: of what each kind comes to, corrected. */
export function usualEstimate(units: InputUnits, factors: InputFactors): number {
  // Written out: a loop over the names costs each small request a microsecond.
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

/** LLM units that the input will not pass, as far as the body says how much it is. */
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
  readonly sealed: number
}

const noMedia: Media = { images: 0, documents: 0, audio: 0, documentBytes: 0, audioBytes: 0, sealed: 0 }

/**
 * How many there are of each: a part has a type, or base64, or both. Base64 that does not say what it is belongs to a part
 * that has none, else it is something sealed.
 */
function mediaOf(size: InputSize): Media {
  const { parts, payloads, documentBytes, audioBytes, looseCount, looseBytes } = size
  const images = Math.max(parts.images, payloads.images)
  const documents = Math.max(parts.documents, payloads.documents)
  const audio = Math.max(parts.audio, payloads.audio)
  if (images + documents + audio + looseCount === 0) return noMedia
  const media = { images, documents, audio, documentBytes, audioBytes }
  if (looseCount === 0) return { ...media, sealed: 0 }
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
  return {
    ...media,
    audioBytes: media.audioBytes + audioGiven * each,
    documentBytes: media.documentBytes + documentsGiven * each,
    sealed: left * unitsOfSealed(each),
  }
}

function byName(table: readonly (readonly [RegExp, number])[], model: string): number | undefined {
  return table.find(([name]) => name.test(model))?.[1]
}
