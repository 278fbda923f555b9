import type { UsageReader } from '#providers/usage-reader.ts'
import { CutWord } from './cut-word.ts'
import { Members } from './members.ts'
import { firstOfStrings, meanings, nameBytesMax } from './names.ts'
import { type Notes, noted } from './notes.ts'
import { Openings } from './opening.ts'
import type { StreamWords } from './words.ts'

// Where in a line's JSON the next byte stands.
const betweenLines = 0
const json = 1
const inString = 2
const afterBackslash = 3

const [lineFeed, carriageReturn, quote, backslash] = [0x0a, 0x0d, 0x22, 0x5c]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]
const [comma, colon, letterD] = [0x2c, 0x3a, 0x44]

/** Bytes in a string: 0 ASCII, 1 other, 2 a byte that is handled separately. */
const stringKinds = new Uint8Array(256).fill(1, 0x80)
for (const byte of [lineFeed, carriageReturn, quote, backslash]) stringKinds[byte] = 2

/** Bytes outside of a string: 0 a byte that does not matter. The letter is that of `[DONE]`. */
const jsonKinds = new Uint8Array(256)
for (const byte of [lineFeed, carriageReturn, quote, openBrace, closeBrace]) jsonKinds[byte] = 1
for (const byte of [openBracket, closeBracket, comma, colon, letterD]) jsonKinds[byte] = 1

/** Longest name of a model, with what escapes its slashes. */
const modelBytesMax = 300

/**
 * The JSON of one event after another, in the lines of their data. At every byte it knows its place, notes the few things
 * that metering needs, and keeps only a usage object while that passes.
 */
export class EventJson {
  readonly notes: Notes
  readonly #members: Members
  readonly #openings = new Openings()
  /** One JSON text and no events: it has no lines. */
  #isBody = false
  #mode = betweenLines
  /** The last significant byte. */
  #last = 0
  /** The present string is a value, one that the model wrote, one of which the content matters. */
  #isValue = false
  #isText = false
  #isWord = false
  readonly #word: CutWord

  constructor(words: StreamWords, reader: UsageReader) {
    this.#members = new Members(words, reader)
    this.notes = this.#members.notes
    this.#word = new CutWord(words.model === undefined ? nameBytesMax : modelBytesMax)
  }

  /** Reads what follows as one JSON text. */
  openBody(): void {
    this.#isBody = true
    this.#mode = json
    this.#members.openBody()
  }

  nextEvent(): void {
    this.#last = 0
    this.#members.nextEvent()
  }

  /** Whether all brackets are closed. */
  isWhole(): boolean {
    return this.#members.place.depth === 0
  }

  /** At an event's start: skips its opening if it is the remembered one; returns the offset to continue at. */
  takeOpening(chunk: Buffer, at: number): number {
    const opening = this.#openings.match(chunk, at)
    if (!opening) return at
    this.#members.place.moveTo(opening.place)
    this.#members.meaning = opening.meaning
    this.notes.bits = opening.bits
    this.#last = colon
    this.#mode = inString
    this.#isValue = true
    this.#isText = true
    this.#isWord = false
    return at + opening.bytes.length
  }

  /** The present event started before this chunk. */
  goOn(): void {
    this.#openings.goOn()
  }

  startLine(at: number): void {
    this.#mode = json
    this.#members.usage.resume(at)
  }

  /** Takes a line on, to its end or the chunk's; returns the offset of that end. */
  take(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length) {
      if (this.#mode === inString) at = this.#takeString(chunk, at)
      else if (this.#mode === json) at = this.#takeJson(chunk, at)
      else at = this.#takeEscaped(chunk, at)
      if (this.#mode === betweenLines) return at
    }
    return at
  }

  /** Keeps the word or the object that the chunk's end cuts in two. */
  suspend(chunk: Buffer): void {
    this.#members.usage.suspend(chunk)
    this.#word.suspend(chunk)
  }

  /**
   * Continues in JSON to a line's end, a string that is handled separately, or the chunk's end. Most bytes pass through
   * this loop, which reads whole strings in place.
   */
  #takeJson(chunk: Buffer, from: number): number {
    const length = chunk.length
    const members = this.#members
    let at = from
    let last = this.#last
    while (at < length) {
      const byte = chunk[at] ?? 0
      if (jsonKinds[byte] === 0) {
        at += 1
        continue
      }
      if (byte === comma || byte === colon) {
        last = byte
        at += 1
        continue
      }
      if (byte === quote) {
        const isPlain = last !== colon || members.meaning < firstOfStrings
        let end = at + 1
        if (isPlain) while (end < length && (stringKinds[chunk[end] ?? 0] ?? 0) <= 1) end += 1
        if (isPlain && chunk[end] === quote) {
          if (last !== colon) members.takeName(chunk, at + 1, end)
          else {
            members.noteString()
            if (members.meaning === meanings.kind) members.takeWord(chunk, at + 1, end)
          }
          last = quote
          at = end + 1
          continue
        }
      }
      this.#last = last
      if (byte === lineFeed || byte === carriageReturn) {
        if (!this.#isBody) return this.#endLine(chunk, at)
      } else this.#takeStructure(chunk, byte, at)
      at += 1
      if (this.#mode !== json) return at
      last = this.#last
    }
    this.#last = last
    return at
  }

  /** Takes a significant byte of the JSON outside of strings. */
  #takeStructure(chunk: Buffer, byte: number, at: number): void {
    const { place } = this.#members
    switch (byte) {
      case quote:
        this.#openString(chunk, at + 1)
        return
      case openBrace:
        if (this.#last === colon) this.#members.openObject(at)
        this.notes.bits |= noted.data
        place.depth += 1
        break
      case openBracket:
        if (this.#last === colon) place.openInner(this.#members.meaning)
        place.depth += 1
        break
      case closeBrace:
      case closeBracket:
        this.#members.close(chunk, at + 1)
        break
      case letterD:
        if (this.#last === openBracket && place.depth === 1) this.notes.bits |= noted.done
        return
    }
    this.#last = byte
  }

  #openString(chunk: Buffer, at: number): void {
    this.#mode = inString
    this.#isValue = this.#last === colon
    this.#isText = this.#isValue && this.#members.isText()
    this.#isWord = this.#isValue && this.#members.isWord()
    if (this.#isValue) {
      this.#members.noteString()
      if (this.#isText) this.#rememberOpening(chunk, at)
      else if (chunk[at] !== quote) this.#members.noteContent()
    }
    if (!this.#isValue || this.#isWord) this.#word.open(at)
  }

  /** Remembers the event up to the start of its first text. */
  #rememberOpening(chunk: Buffer, end: number): void {
    const { bits, stops } = this.notes
    const { place, meaning, usage } = this.#members
    if ((bits & (noted.text | noted.usage)) !== 0 || stops > 0 || usage.depth >= 0) return
    this.#openings.remember(chunk, end, { place, meaning, bits })
  }

  /** Continues in a string to its end, the line's end or the chunk's end. */
  #takeString(chunk: Buffer, from: number): number {
    let at = from
    let other = 0
    let kind = stringKinds[chunk[at] ?? 0] ?? 0
    while (at < chunk.length && kind <= 1) {
      other += kind
      at += 1
      kind = stringKinds[chunk[at] ?? 0] ?? 0
    }
    if (this.#isText && at > from) this.#countText(at - from - other, other)
    if (at >= chunk.length) return at
    const byte = chunk[at]
    if (byte === quote) this.#closeString(chunk, at)
    else if (byte === backslash) this.#mode = afterBackslash
    else if (!this.#isBody) return this.#endLine(chunk, at)
    return at + 1
  }

  /** Takes the byte after a backslash. */
  #takeEscaped(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if ((byte === lineFeed || byte === carriageReturn) && !this.#isBody) return this.#endLine(chunk, at)
    this.#mode = inString
    if (this.#isText) this.#countText(1, 0)
    return at + 1
  }

  #countText(ascii: number, other: number): void {
    this.notes.countText(this.#members.meaning, ascii, other)
  }

  #closeString(chunk: Buffer, end: number): void {
    this.#mode = json
    this.#last = quote
    this.#isText = false
    if (this.#isValue && !this.#isWord) return
    const { start, isCut } = this.#word
    const size = this.#word.sizeAt(end)
    const bytes = isCut ? this.#word.join(chunk, end) : chunk
    const from = isCut ? 0 : start
    this.#word.drop()
    if (!bytes || size > this.#word.bytesMax) {
      if (!this.#isWord) this.#members.takeLongName()
    } else if (this.#isWord) this.#members.takeWord(bytes, from, from + size)
    else this.#members.takeName(bytes, from, from + size)
    this.#isWord = false
  }

  #endLine(chunk: Buffer, at: number): number {
    this.#members.usage.endLine(chunk, at)
    this.#word.drop()
    this.#isText = false
    this.#isWord = false
    this.#mode = betweenLines
    return at
  }
}
