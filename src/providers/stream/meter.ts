import type { Hide } from '#providers/hidden.ts'
import {
  type OperatorRefusal,
  operatorRefusalInEvent,
  withoutOperatorNames,
} from '#providers/operator-refusal.ts'
import type { StreamMeter, StreamOptions } from '#providers/provider.ts'
import { isUsageOnly, noted } from './notes.ts'
import { PassedText } from './passed-text.ts'
import { StreamScanner } from './scanner.ts'
import { Sieve } from './sieve.ts'
import { type StreamGrammar, StreamNotes } from './stream-notes.ts'
import { totalWritten } from './written.ts'

/** A held event that is longer passes as it is. */
const heldBytesMax = 32 * 1024 * 1024

const nothing = Buffer.alloc(0)

/**
 * Meters a stream as it passes. With `withholdsUsage` it removes the event that the gateway asked for and the client did
 * not: the one with usage and empty choices. An event is held only until it is known not to be that one, which is as soon
 * as its choices have content. The operator's names are removed from an error. An error about the operator's account does
 * not pass, nor does what comes after it.
 */
export function openStreamMeter(
  grammar: StreamGrammar,
  {
    withholdsUsage,
    answers = Number.POSITIVE_INFINITY,
    namesModels = false,
    hide = withoutOperatorNames,
  }: StreamOptions,
): StreamMeter {
  const reader = grammar.createUsageReader()
  const words = namesModels ? { ...grammar.words, model: 'model' } : grammar.words
  const scanner = new StreamScanner(words, reader)
  const { notes } = scanner
  const seen = new StreamNotes(grammar, reader, answers)
  const text = new PassedText(notes.written)
  const passing = new Passing(withholdsUsage, hide)

  function noteEvent(): void {
    if ((notes.bits & noted.text) !== 0) text.note()
    seen.takeEvent(notes)
    scanner.nextEvent()
  }

  function push(chunk: Buffer): Buffer {
    if (passing.refusal) return nothing
    let at = passing.start(chunk)
    while (at < chunk.length) {
      at = scanner.scan(chunk, at)
      if (scanner.isAtEventEnd()) {
        passing.endEvent(at, notes.bits)
        noteEvent()
        if (passing.refusal) break
      } else passing.endChunk(notes.bits)
    }
    return passing.take()
  }

  return {
    push,
    end() {
      const rest = passing.end(notes.bits, scanner.isWhole())
      noteEvent()
      seen.end()
      return rest
    },
    usage: reader.usage,
    extras: reader.extras,
    models: reader.models,
    isComplete: () => seen.isFinal,
    isOver: () => seen.isOver(),
    hasBegun: () => seen.hasData || seen.isDone,
    refusal: () => passing.refusal,
    isError: () => seen.isError && seen.statedUnits() === 0 && totalWritten(notes.written) === 0,
    passed: () => text.units((notes.bits & noted.text) !== 0),
  }
}

/** What passes to the client: all bytes but the usage event that it did not ask for, and what errors say of the operator. */
class Passing {
  /** Set after an error about the operator's account. */
  refusal: OperatorRefusal | undefined
  readonly #withholdsUsage: boolean
  readonly #hide: Hide
  readonly #sieve = new Sieve()

  constructor(withholdsUsage: boolean, hide: Hide) {
    this.#withholdsUsage = withholdsUsage
    this.#hide = hide
  }

  start(chunk: Buffer): number {
    return this.#sieve.start(chunk)
  }

  take(): Buffer {
    return this.#sieve.take()
  }

  /** @param bits what was noted in the event that ends here */
  endEvent(at: number, bits: number): void {
    if ((bits & noted.error) !== 0) this.#endError(at)
    else this.#sieve.endEvent(at, this.#mayBeOurs() && isUsageOnly(bits))
  }

  /**
   * At a chunk's end within an event. An error is held to its end, and an event that may be unwanted until it has
   * content.
   */
  endChunk(bits: number): void {
    const isHeld = (bits & noted.error) !== 0 || (this.#mayBeOurs() && (bits & noted.choices) === 0)
    this.#sieve.endChunk(isHeld ? heldBytesMax : 0)
  }

  /** What is still to pass at the stream's end. The last event has no blank line after it; most clients accept it. */
  end(bits: number, isWhole: boolean): Buffer {
    const isOurs = this.#withholdsUsage && isUsageOnly(bits) && isWhole
    if (this.refusal || isOurs) return nothing
    const held = this.#sieve.end()
    return (bits & noted.error) !== 0 ? this.#shownOf(held) : held
  }

  #mayBeOurs(): boolean {
    return this.#withholdsUsage && !this.#sieve.isPartlyOut
  }

  #endError(at: number): void {
    const event = this.#sieve.event(at)
    const shown = this.#shownOf(event)
    this.#sieve.endEvent(at, shown !== event)
    if (shown !== event) this.#sieve.put(shown)
  }

  /** What passes of an error: the same bytes if they hold nothing of the operator's. */
  #shownOf(event: Buffer): Buffer {
    const text = event.toString()
    this.refusal = operatorRefusalInEvent(text)
    if (this.refusal) return nothing
    const shown = this.#hide(text)
    return shown === text ? event : Buffer.from(shown)
  }
}
