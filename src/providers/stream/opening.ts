import { Place } from './place.ts'

/** After this many misses in a row the opening is no longer compared. */
const missesMax = 16
const bytesMax = 2048

/** What is known at the quote before an event's first text: its meaning is that of the text. */
interface TextStart {
  readonly place: Place
  readonly meaning: number
  /** What was noted up to there. */
  readonly bits: number
}

/** An event from its first byte to that quote. */
interface Opening extends TextStart {
  readonly bytes: Buffer
}

/** Text events usually start with the same bytes as the one before. The state after these bytes is then known at once. */
export class Openings {
  /** Where the present event starts in the chunk; -1 if it started in an earlier one, or by the remembered opening. */
  #startAt = -1
  #last: Opening | undefined
  #misses = 0

  /** At an event's start: the remembered opening, if the event starts with it. */
  match(chunk: Buffer, at: number): Opening | undefined {
    this.#startAt = at
    const opening = this.#last
    if (!opening) return undefined
    const end = at + opening.bytes.length
    if (end <= chunk.length && chunk.subarray(at, end).equals(opening.bytes)) {
      this.#misses = 0
      this.#startAt = -1
      return opening
    }
    if (end <= chunk.length) this.#misses += 1
    if (this.#misses > missesMax) this.#last = undefined
    return undefined
  }

  /** The present event started in an earlier chunk. */
  goOn(): void {
    this.#startAt = -1
  }

  /** Remembers the event up to the start of its text, unless the openings of such events turned out to differ. */
  remember(chunk: Buffer, end: number, { place, meaning, bits }: TextStart): void {
    const from = this.#startAt
    if (from < 0 || this.#misses > missesMax || end - from > bytesMax) return
    const kept = new Place()
    kept.moveTo(place)
    this.#last = { bytes: Buffer.from(chunk.subarray(from, end)), place: kept, meaning, bits }
  }
}
