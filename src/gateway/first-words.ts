import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import type { AnswerReader } from './answer-reader.ts'
import type { Delivery } from './delivery.ts'

/**
 * How long an answer's headers wait for its first content: until they are sent, another upstream's answer can replace an
 * error.
 */
const firstWordsMs = 100

/** The first bytes of a JSON object and of a list. */
const jsonStarts: ReadonlySet<number> = new Set([0x7b, 0x5b])

/** Holds the beginning of an answer back until it is known not to be an error. */
export class FirstWords {
  readonly #delivery: Delivery
  #timer: NodeJS.Timeout | undefined
  /** The answer is not a stream and may be an error: it is held to its end, or until it is too long for an error. */
  #mayBeError = false
  #isHeld = false

  constructor(delivery: Delivery) {
    this.#delivery = delivery
  }

  /** The headers wait for the first content: if this is an error, another upstream is tried. */
  get areAwaited(): boolean {
    return this.#timer !== undefined
  }

  await(): void {
    this.#delivery.hold()
    this.#timer = setTimeout(() => this.end(), firstWordsMs)
  }

  /** @param isFollowed more bytes are written in the same turn */
  end(isFollowed = false): void {
    this.#clear()
    this.#delivery.letGo(isFollowed)
  }

  /** @param isPossible whether the answer is whole and of a good status, so that it may be an error all the same */
  watch(headers: AnswerHeaders, isPossible: boolean): void {
    this.#mayBeError = isPossible && !isOfLines(headers)
  }

  /**
   * Holds an answer that is not a stream while it may be an error: its client can use it only at its end anyway. White
   * space before it keeps a connection open, and passes. An answer that does not begin like JSON is not an error.
   */
  take(chunk: Buffer, reader: AnswerReader): void {
    if (!this.#mayBeError) return
    if (reader.hasBegun()) {
      this.#mayBeError = false
      if (this.#isHeld) this.end(true)
      this.#isHeld = false
      return
    }
    if (this.#isHeld) return
    const first = firstWord(chunk)
    if (jsonStarts.has(first)) {
      this.#isHeld = true
      this.#clear()
      this.#delivery.hold()
    } else if (first !== 0) this.#mayBeError = false
  }

  /** Forgets the answer. */
  close(): void {
    this.#clear()
    this.#mayBeError = false
    this.#isHeld = false
  }

  #clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

/** The first byte that is not white space; 0 if all of it is white space. */
function firstWord(chunk: Buffer): number {
  for (const byte of chunk) if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return byte
  return 0
}

/** Whether the answer is a stream of JSON texts, one on each line. */
function isOfLines(headers: AnswerHeaders): boolean {
  return /ndjson|jsonl|json-seq|stream/i.test(String(headers['content-type'] ?? ''))
}
