import { meanings } from './names.ts'
import { createWritten, type TextBytes, type Written } from './written.ts'

/**
 * What was noted in an event, as the bits of one number: creating an object for each event would cost more than scanning
 * it.
 */
export const noted = {
  /** A usage object at one of its places; below, one at the top level. */
  usage: 1,
  topUsage: 2,
  /** `choices` hold a string that is not empty. */
  choices: 4,
  /** `[DONE]`. */
  done: 8,
  text: 16,
  /** The event is an error. */
  error: 32,
  /** The event holds JSON, so it is more than a comment. */
  data: 64,
  /** By its kind the event's text is base64 of audio. */
  media: 128,
} as const

/** Whether an event has usage at the top level, no text and no error. */
export function isUsageOnly(bits: number): boolean {
  return (bits & (noted.topUsage | noted.choices | noted.error)) === noted.topUsage
}

const errorKind = 'error'
/** The kind of an event whose text is base64. */
const audioKind = 'response.audio.delta'

/** What the present event says, and how much was written since the start of the stream. */
export class Notes {
  /** A sum of `noted`. */
  bits = 0
  /** How many answers ended in the event. */
  stops = 0
  /** The status that the event states. */
  status = ''
  readonly written: Written = createWritten()

  clear(): void {
    this.bits = 0
    this.stops = 0
    this.status = ''
  }

  /** Counts bytes of a text of this meaning. */
  countText(meaning: number, ascii: number, other: number): void {
    this.bits |= noted.text
    const bytes = this.#bytesOf(meaning)
    bytes.ascii += ascii
    bytes.other += other
  }

  #bytesOf(meaning: number): TextBytes {
    if (meaning === meanings.reasoning) return this.written.reasoning
    if (meaning === meanings.detail) return this.written.details
    const isMedia = meaning === meanings.media || (this.bits & noted.media) !== 0
    return isMedia ? this.written.media : this.written.text
  }

  /** Takes the kind of the event. */
  takeKind(chunk: Buffer, from: number, end: number): void {
    const size = end - from
    if (size !== errorKind.length && size !== audioKind.length) return
    const kind = chunk.toString('latin1', from, end)
    if (kind === errorKind) this.bits |= noted.error
    else if (kind === audioKind) this.bits |= noted.media
  }
}
