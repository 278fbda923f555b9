import { stringOf } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'
import { firstOfWords, isText, meaningOf, meanings, type Names, nameBytesMax, namesOf } from './names.ts'
import { Notes, noted } from './notes.ts'
import { Place, type UsagePlaces, usagePlacesOf } from './place.ts'
import { UsageObject } from './usage-object.ts'
import type { StreamWords } from './words.ts'

const { unknown, usage, tools, choices, kind, stop, failure, tier, status, modelName } = meanings

const startOfEvent = new Place()

/** The members of an event's JSON: what the present one means at its place, and what is noted of its value. */
export class Members {
  readonly notes = new Notes()
  readonly place = new Place()
  readonly usage: UsageObject
  /** The meaning of the last name. */
  meaning: number = unknown
  readonly #names: Names
  readonly #reader: UsageReader
  #usagePlaces: UsagePlaces

  constructor(words: StreamWords, reader: UsageReader) {
    this.#names = namesOf(words)
    this.#reader = reader
    this.#usagePlaces = usagePlacesOf(words)
    this.usage = new UsageObject(reader)
  }

  /** A whole answer has usage at the top level. */
  openBody(): void {
    this.#usagePlaces = { ...this.#usagePlaces, isAtTop: true }
  }

  nextEvent(): void {
    this.notes.clear()
    this.place.moveTo(startOfEvent)
    this.usage.drop()
    this.meaning = unknown
  }

  /** Takes the name that stands here. */
  takeName(bytes: Buffer, from: number, end: number): void {
    const size = end - from
    this.#mean(size <= nameBytesMax ? meaningOf(this.#names, bytes, from, size) : unknown)
  }

  /** Takes a name that is too long to matter. */
  takeLongName(): void {
    this.#mean(unknown)
  }

  #mean(name: number): void {
    const { place } = this
    this.meaning = place.within === unknown ? name : place.innerMeaning(name)
    if (place.depth === 1) place.topMeaning = this.meaning
  }

  isText(): boolean {
    return isText(this.meaning)
  }

  /** Whether the content of a string matters. */
  isWord(): boolean {
    return this.meaning >= firstOfWords || this.meaning === kind
  }

  /** Enters an object that is a value. */
  openObject(at: number): void {
    const { place, meaning } = this
    place.openInner(meaning)
    if (meaning === failure) this.#noteError()
    else if (meaning === usage || meaning === tools) {
      if (this.usage.depth < 0 && place.isOfUsage(this.#usagePlaces))
        this.usage.open(at, place.depth, meaning === tools)
    } else place.openGrowing(meaning)
  }

  /** Leaves an object or a list. */
  close(chunk: Buffer, end: number): void {
    this.place.close()
    if (this.place.depth === this.usage.depth) this.notes.bits |= this.usage.close(chunk, end)
  }

  /** Notes a string that is a value. */
  noteString(): void {
    if (this.place.topMeaning === choices) this.notes.bits |= noted.choices
  }

  /** Notes a string that is not empty. */
  noteContent(): void {
    if (this.meaning === stop) this.notes.stops += 1
    else if (this.meaning === failure) this.#noteError()
  }

  #noteError(): void {
    if (this.place.isOfError()) this.notes.bits |= noted.error
  }

  /** Takes the content of a string, which stands here. */
  takeWord(bytes: Buffer, from: number, end: number): void {
    const { place, meaning } = this
    if (meaning === kind) {
      if (place.depth === 1) this.notes.takeKind(bytes, from, end)
      return
    }
    if (!place.isOfUsage(this.#usagePlaces)) return
    if (meaning === status) this.notes.status = bytes.toString('latin1', from, end)
    else if (meaning === tier) this.#reader.takeTier(bytes.toString('latin1', from, end))
    else if (meaning === modelName && place.depth < 3)
      this.#reader.takeModel(unescaped(bytes.subarray(from, end)))
  }
}

const quotes = Buffer.from('"')

/** The content of the JSON string that stands between two quotes. */
function unescaped(bytes: Buffer): string {
  return bytes.includes('\\') ? (stringOf(Buffer.concat([quotes, bytes, quotes])) ?? '') : bytes.toString()
}
