import type { UsageReader } from '#providers/usage-reader.ts'
import { EventJson } from './event-json.ts'
import { type Notes, noted } from './notes.ts'
import type { StreamWords } from './words.ts'

// Where in an event the next byte stands: in the name of a field, in its data, in the event's name, in another field.
const field = 0
const data = 1
const naming = 2
const skipping = 3

const [lineFeed, carriageReturn, openBrace] = [0x0a, 0x0d, 0x7b]
const byteOrderMark = Buffer.from('\uFEFF')
const dataField = Buffer.from('data:')
/** An event of this name is an error, whatever its data. */
const errorEvent = Buffer.from('event: error')
const eventFieldBytes = 'event:'.length

/**
 * Scans server-sent events byte by byte, without parsing them. The state carries over to the next chunk, so it does not
 * matter where the network cuts the stream.
 *
 * Only JSON in `data:` lines is read. The end of a line closes every string (a JSON string cannot span lines), so a line
 * that is not JSON cannot affect the following ones.
 */
export class StreamScanner {
  /** What the present event says. */
  readonly notes: Notes
  readonly #json: EventJson
  #mode = field
  /** The bytes of the field's name, or of the event's, that were as expected. */
  #fieldAt = 0
  #isLineEmpty = true
  #isEventEmpty = true
  #isAtStart = true
  #isAtEnd = false
  /** The chunk ended in a CR; its LF may follow. */
  #wasCarriageReturn = false

  constructor(words: StreamWords, reader: UsageReader) {
    this.#json = new EventJson(words, reader)
    this.notes = this.#json.notes
  }

  /** Whether the last `scan` stopped at an event's end. */
  isAtEventEnd(): boolean {
    return this.#isAtEnd
  }

  /** Whether all brackets of the event are closed. */
  isWhole(): boolean {
    return this.#json.isWhole() && !this.#isEventEmpty
  }

  nextEvent(): void {
    this.#json.nextEvent()
    this.#isAtEnd = false
    this.#isEventEmpty = true
  }

  /** Scans on, to the end of an event (with its blank line) or of the chunk; returns the offset after it. */
  scan(chunk: Buffer, from: number): number {
    let at = this.#takeStart(chunk, from)
    while (at < chunk.length && !this.#isAtEnd) {
      if (this.#mode === data) at = this.#takeData(chunk, at)
      else if (this.#mode === field) at = this.#takeField(chunk, at)
      else if (this.#mode === skipping) at = this.#skipLine(chunk, at)
      else at = this.#takeName(chunk, at)
    }
    if (!this.#isAtEnd) this.#json.suspend(chunk)
    return at
  }

  /** Takes what a chunk or an event may start with; returns the offset after it. */
  #takeStart(chunk: Buffer, from: number): number {
    let at = from
    if (this.#wasCarriageReturn && at < chunk.length) {
      this.#wasCarriageReturn = false
      if (chunk[at] === lineFeed) {
        at += 1
        this.#isAtEnd = this.#isEventEmpty
      }
    }
    if (this.#isAtStart && at < chunk.length) at = this.#takeStreamStart(chunk, at)
    if (this.#mode !== field || !this.#isEventEmpty || this.#isAtEnd) this.#json.goOn()
    else at = this.#takeOpening(chunk, at)
    return at
  }

  /**
   * At the stream's first byte: skips a byte order mark. An answer that starts like an object is one JSON text and not a
   * stream, usually an error.
   */
  #takeStreamStart(chunk: Buffer, from: number): number {
    this.#isAtStart = false
    const hasMark = byteOrderMark.equals(chunk.subarray(from, from + byteOrderMark.length))
    const at = hasMark ? from + byteOrderMark.length : from
    if (chunk[at] !== openBrace) return at
    this.#json.openBody()
    this.#isEventEmpty = false
    this.#mode = data
    return at
  }

  #takeOpening(chunk: Buffer, from: number): number {
    const at = this.#json.takeOpening(chunk, from)
    if (at === from) return at
    this.#isLineEmpty = false
    this.#isEventEmpty = false
    this.#mode = data
    return at
  }

  #takeData(chunk: Buffer, from: number): number {
    const at = this.#json.take(chunk, from)
    return at < chunk.length ? this.#takeLineEnd(chunk, at) : at
  }

  /** Takes one byte of a line's field name. */
  #takeField(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === lineFeed || byte === carriageReturn) return this.#takeLineEnd(chunk, at)
    this.#isLineEmpty = false
    this.#isEventEmpty = false
    if (byte !== dataField[this.#fieldAt]) {
      this.#mode = this.#fieldAt === 0 && byte === errorEvent[0] ? naming : skipping
      this.#fieldAt = 1
      return at + 1
    }
    this.#fieldAt += 1
    if (this.#fieldAt === dataField.length) {
      this.#mode = data
      this.#json.startLine(at + 1)
    }
    return at + 1
  }

  /** Continues in an event's name, as long as it may be that of an error. */
  #takeName(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === lineFeed || byte === carriageReturn) {
      if (this.#fieldAt === errorEvent.length) this.notes.bits |= noted.error
      return this.#takeLineEnd(chunk, at)
    }
    // The space after the colon is optional.
    if (this.#fieldAt === eventFieldBytes && byte === errorEvent[this.#fieldAt + 1]) this.#fieldAt += 2
    else if (byte === errorEvent[this.#fieldAt]) this.#fieldAt += 1
    else this.#mode = skipping
    return at + 1
  }

  #skipLine(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length && chunk[at] !== lineFeed && chunk[at] !== carriageReturn) at += 1
    return at < chunk.length ? this.#takeLineEnd(chunk, at) : at
  }

  /** Takes a line's end; returns the offset after it. */
  #takeLineEnd(chunk: Buffer, at: number): number {
    this.#mode = field
    this.#fieldAt = 0
    this.#isAtEnd = this.#isLineEmpty
    this.#isLineEmpty = true
    if (chunk[at] === lineFeed) return at + 1
    if (at + 1 < chunk.length) return chunk[at + 1] === lineFeed ? at + 2 : at + 1
    this.#wasCarriageReturn = true
    return at + 1
  }
}
