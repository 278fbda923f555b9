import type { UsageReader } from '#providers/usage-reader.ts'
import { isUsageOnly, noted } from './notes.ts'

/**
 * Some servers send several answers in one stream one after the other, each with its own end and its own event of usage.
 * Usage after both of these belongs to another part, and is not an update of the first.
 */
export class AnswerParts {
  /** The next events may belong to another answer. */
  isClosed = false
  readonly #reader: UsageReader
  readonly #answers: number
  #started = 1
  #hasStopped = false

  constructor(reader: UsageReader, answers: number) {
    this.#reader = reader
    this.#answers = answers
  }

  /** @param stops how many answers ended in the event */
  note(bits: number, stops: number): void {
    if (this.isClosed && (bits & noted.choices) !== 0 && this.#started < this.#answers) {
      this.#reader.startPart()
      this.#started += 1
      this.isClosed = false
      this.#hasStopped = false
    }
    if (stops > 0) this.#hasStopped = true
    if (this.#hasStopped && isUsageOnly(bits)) this.isClosed = true
  }
}
