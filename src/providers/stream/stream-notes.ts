import { unitsOf } from '#core/usage.ts'
import type { UsageReader } from '#providers/usage-reader.ts'
import { AnswerParts } from './answer-parts.ts'
import { isUsageOnly, type Notes, noted } from './notes.ts'
import type { StreamWords } from './words.ts'

/** The form of a protocol's streams. */
export interface StreamGrammar {
  readonly words: StreamWords
  readonly createUsageReader: () => UsageReader
  /** Whether the figures are final if nothing more comes, with this many answers in one stream. */
  readonly isFinal: (seen: StreamNotes, answers: number) => boolean
  /** Whether nothing can come any more that changes final figures. */
  readonly isOver: (seen: StreamNotes) => boolean
}

const plainText = noted.text | noted.data

/** What was noted in all events up to now. */
export class StreamNotes {
  hasUsage = false
  hasTopUsage = false
  /** The last event with content had usage only. */
  endsInUsage = false
  /** Text has arrived after the last usage. */
  hasTextSince = false
  stops = 0
  status = ''
  isDone = false
  /** The upstream has ended the stream properly, not by breaking the connection. */
  isEnded = false
  isError = false
  /** An event other than a comment has arrived. */
  hasData = false
  /** The figures are final if nothing more comes. */
  isFinal = false

  readonly #grammar: StreamGrammar
  readonly #reader: UsageReader
  readonly #answers: number
  readonly #parts: AnswerParts

  constructor(grammar: StreamGrammar, reader: UsageReader, answers: number) {
    this.#grammar = grammar
    this.#reader = reader
    this.#answers = answers
    this.#parts = new AnswerParts(reader, answers)
  }

  /** Whether nothing can come any more that changes the figures. */
  isOver(): boolean {
    return this.isFinal && this.#grammar.isOver(this)
  }

  /** Takes what an event said that has ended. */
  takeEvent({ bits, stops, status }: Notes): void {
    // The common case: an event with text and nothing else.
    const isPlain = (bits & ~noted.choices) === plainText && stops === 0 && !this.#parts.isClosed
    if (isPlain) this.#takeText(bits)
    else this.#takeMore(bits, stops, status)
  }

  /** The upstream has ended the stream. */
  end(): void {
    this.isEnded = true
    this.#updateFinal()
  }

  #takeText(bits: number): void {
    this.hasData = true
    if (!this.hasUsage) return
    if ((bits & noted.choices) !== 0) this.endsInUsage = false
    this.hasTextSince = true
    if (this.isFinal) this.#updateFinal()
  }

  #takeMore(bits: number, stops: number, status: string): void {
    if ((bits & noted.usage) !== 0) {
      this.hasUsage = true
      if ((bits & noted.topUsage) !== 0) this.hasTopUsage = true
      this.endsInUsage = isUsageOnly(bits)
      this.hasTextSince = false
    } else {
      if ((bits & noted.choices) !== 0) this.endsInUsage = false
      if ((bits & noted.text) !== 0) this.hasTextSince = true
    }
    this.stops += stops
    if ((bits & noted.done) !== 0) this.isDone = true
    if ((bits & noted.error) !== 0) this.isError = true
    if ((bits & noted.data) !== 0) this.hasData = true
    if (status !== '') this.status = status
    this.#parts.note(bits, stops)
    if (this.hasUsage) this.#updateFinal()
  }

  #updateFinal(): void {
    this.isFinal = this.#reader.usage() !== undefined && this.#grammar.isFinal(this, this.#answers)
  }

  /** The units stated so far. Usage without figures, or of zeros, counts as not stated. */
  statedUnits(): number {
    const usage = this.#reader.usage()
    return usage ? unitsOf(usage) : 0
  }
}
