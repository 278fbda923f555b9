import type { PassedUnits } from '#providers/provider.ts'
import { unitsOfMedia, unitsOfText } from '#providers/text-units.ts'
import type { TextBytes, Written } from './written.ts'

/** Counts the units of what a model wrote in a stream. */
export class PassedText {
  readonly #written: Written
  readonly #text: EventCount
  readonly #reasoning: EventCount
  readonly #details: EventCount

  constructor(written: Written) {
    this.#written = written
    this.#text = new EventCount(written.text)
    this.#reasoning = new EventCount(written.reasoning)
    this.#details = new EventCount(written.details)
  }

  /** To be called when an event with text has ended. */
  note(): void {
    this.#text.note()
    this.#reasoning.note()
    this.#details.note()
  }

  /** @param isOpen the present event has text and has not ended */
  units(isOpen: boolean): PassedUnits {
    return {
      output: this.#text.units(isOpen) + unitsOfMedia(this.#written.media.ascii),
      reasoning: Math.max(this.#reasoning.units(isOpen), this.#details.units(isOpen)),
    }
  }
}

/** Counts units of one kind of text: at least one for each event that holds some of it. */
class EventCount {
  readonly #bytes: TextBytes
  #events = 0
  /** The bytes up to the end of the last event. */
  #noted = 0

  constructor(bytes: TextBytes) {
    this.#bytes = bytes
  }

  note(): void {
    const bytes = this.#bytes.ascii + this.#bytes.other
    if (bytes > this.#noted) this.#events += 1
    this.#noted = bytes
  }

  units(isOpen: boolean): number {
    const { ascii, other } = this.#bytes
    const isIn = isOpen && ascii + other > this.#noted
    return Math.max(this.#events + (isIn ? 1 : 0), unitsOfText(ascii, other))
  }
}
