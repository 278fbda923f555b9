import { unitsOf } from '#core/usage.ts'
import {
  type OperatorRefusal,
  operatorRefusalInEvent,
  withoutOperatorNames,
} from '#providers/operator-refusal.ts'
import type { PassedUnits, StreamMeter, StreamOptions } from '#providers/provider.ts'
import { unitsOfMedia, unitsOfText } from '#providers/text-units.ts'
import type { UsageReader } from '#providers/usage-reader.ts'
import { createStreamScanner, noted, type StreamWords, type TextBytes } from './scanner.ts'

/** The form of a protocol's streams. */
export interface StreamGrammar {
  readonly words: StreamWords
  readonly createUsageReader: () => UsageReader
  /** Whether the figures are final if nothing more comes, with this many answers in one stream. */
  readonly isFinal: (seen: StreamNotes, answers: number) => boolean
  /** Whether nothing can come any more that changes final figures. */
  readonly isOver: (seen: StreamNotes) => boolean
}

/** What was noted in all events up to now. */
interface StreamNotes {
  hasUsage: boolean
  hasTopUsage: boolean
  /** The last event with content had usage only. */
  endsInUsage: boolean
  /** Text has arrived after the last usage. */
  hasTextSince: boolean
  stops: number
  status: string
  isDone: boolean
  /** The upstream has ended the stream properly, not by breaking the connection. */
  isEnded: boolean
  isError: boolean
  /** An event other than a comment has arrived. */
  hasData: boolean
}

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
  { withholdsUsage, answers = Number.POSITIVE_INFINITY, namesModels = false }: StreamOptions,
): StreamMeter {
  const reader = grammar.createUsageReader()
  const words = namesModels ? { ...grammar.words, model: 'model' } : grammar.words
  const scanner = createStreamScanner(words, reader)
  const seen: StreamNotes = {
    hasUsage: false,
    hasTopUsage: false,
    endsInUsage: false,
    hasTextSince: false,
    stops: 0,
    status: '',
    isDone: false,
    isEnded: false,
    isError: false,
    hasData: false,
  }
  const text = createEventCount()
  const reasoning = createEventCount()
  const details = createEventCount()
  const { written } = scanner
  const parts = createParts(reader, answers)
  let isFinal = false

  function noteEvent(): void {
    const notes = scanner.notes()
    if ((notes & noted.text) !== 0) {
      text.note(written.text)
      reasoning.note(written.reasoning)
      details.note(written.details)
    }
    // The common case: an event with text and nothing else.
    if ((notes & ~noted.choices) === plainText && scanner.stops() === 0 && !parts.isClosed()) noteText(notes)
    else noteMore(notes)
    scanner.nextEvent()
  }

  function noteText(notes: number): void {
    seen.hasData = true
    if (!seen.hasUsage) return
    if ((notes & noted.choices) !== 0) seen.endsInUsage = false
    seen.hasTextSince = true
    if (isFinal) updateFinal()
  }

  function noteMore(notes: number): void {
    if ((notes & noted.usage) !== 0) {
      seen.hasUsage = true
      if ((notes & noted.topUsage) !== 0) seen.hasTopUsage = true
      seen.endsInUsage = isUsageOnly(notes)
      seen.hasTextSince = false
    } else {
      if ((notes & noted.choices) !== 0) seen.endsInUsage = false
      if ((notes & noted.text) !== 0) seen.hasTextSince = true
    }
    const stops = scanner.stops()
    const status = scanner.status()
    seen.stops += stops
    if ((notes & noted.done) !== 0) seen.isDone = true
    if ((notes & noted.error) !== 0) seen.isError = true
    if ((notes & noted.data) !== 0) seen.hasData = true
    if (status !== '') seen.status = status
    parts.note(notes, stops)
    if (seen.hasUsage) updateFinal()
  }

  function updateFinal(): void {
    isFinal = reader.usage() !== undefined && grammar.isFinal(seen, answers)
  }

  /** The units stated so far. Usage without figures, or of zeros, counts as not stated. */
  function statedUnits(): number {
    const usage = reader.usage()
    return usage ? unitsOf(usage) : 0
  }

  const sieve = createSieve()
  let refusal: OperatorRefusal | undefined

  function push(chunk: Buffer): Buffer {
    if (refusal) return nothing
    let at = sieve.start(chunk)
    while (at < chunk.length) {
      at = scanner.scan(chunk, at)
      if (scanner.isAtEventEnd()) {
        const notes = scanner.notes()
        if ((notes & noted.error) !== 0) passError(at)
        else sieve.endEvent(at, withholdsUsage && isUsageOnly(notes) && !sieve.isPartlyOut())
        noteEvent()
        if (refusal) return sieve.take()
      } else sieve.endChunk(mostHeld(scanner.notes()))
    }
    return sieve.take()
  }

  /**
   * How much of an incomplete event is held: an error to its end, and an event that may be unwanted until it has content.
   */
  function mostHeld(notes: number): number {
    if ((notes & noted.error) !== 0) return heldBytesMax
    return withholdsUsage && (notes & noted.choices) === 0 && !sieve.isPartlyOut() ? heldBytesMax : 0
  }

  /** Passes or withholds an error event, which ends here. */
  function passError(at: number): void {
    const event = sieve.event(at)
    const shown = shownOf(event)
    sieve.endEvent(at, shown !== event)
    if (shown !== event) sieve.put(shown)
  }

  /** What passes of an error: the same bytes if they hold nothing of the operator's. */
  function shownOf(event: Buffer): Buffer {
    const text = event.toString()
    refusal = operatorRefusalInEvent(text)
    if (refusal) return nothing
    const shown = withoutOperatorNames(text)
    return shown === text ? event : Buffer.from(shown)
  }

  function passed(): PassedUnits {
    const isOpen = (scanner.notes() & noted.text) !== 0
    return {
      output: text.units(written.text, isOpen) + unitsOfMedia(written.media.ascii),
      reasoning: Math.max(reasoning.units(written.reasoning, isOpen), details.units(written.details, isOpen)),
    }
  }

  return {
    push,
    end() {
      // The last event has no blank line after it; most clients accept it all the same.
      const notes = scanner.notes()
      const isOurs = withholdsUsage && isUsageOnly(notes) && scanner.isWhole()
      const held = refusal || isOurs ? nothing : sieve.end()
      const rest = !refusal && (notes & noted.error) !== 0 ? shownOf(held) : held
      noteEvent()
      seen.isEnded = true
      updateFinal()
      return rest
    },
    usage: reader.usage,
    extras: reader.extras,
    models: reader.models,
    isComplete: () => isFinal,
    isOver: () => isFinal && grammar.isOver(seen),
    hasBegun: () => seen.hasData || seen.isDone,
    refusal: () => refusal,
    isError: () => seen.isError && statedUnits() === 0 && totalOf(Object.values(written)) === 0,
    passed,
  }
}

const plainText = noted.text | noted.data

/** Whether an event has usage at the top level, no text and no error. */
function isUsageOnly(notes: number): boolean {
  return (notes & (noted.topUsage | noted.choices | noted.error)) === noted.topUsage
}

function totalOf(texts: readonly TextBytes[]): number {
  return texts.reduce((sum, { ascii, other }) => sum + ascii + other, 0)
}

/** Counts units of one kind of text: at least one for each event that holds some of it. */
interface EventCount {
  /** To be called when an event with text has ended. */
  readonly note: (bytes: TextBytes) => void
  /** @param isOpen the present event has text and has not ended */
  readonly units: (bytes: TextBytes, isOpen: boolean) => number
}

function createEventCount(): EventCount {
  let events = 0
  let noted = 0
  return {
    note({ ascii, other }) {
      if (ascii + other > noted) events += 1
      noted = ascii + other
    },
    units({ ascii, other }, isOpen) {
      const isIn = isOpen && ascii + other > noted
      return Math.max(events + (isIn ? 1 : 0), unitsOfText(ascii, other))
    },
  }
}

/**
 * Some servers send several answers in one stream one after the other, each with its own end and its own event of usage.
 * Usage after both of these belongs to another part, and is not an update of the first.
 */
interface Parts {
  readonly note: (notes: number, stops: number) => void
  /** Whether the next events may belong to another answer. */
  readonly isClosed: () => boolean
}

function createParts(reader: UsageReader, answers: number): Parts {
  let started = 1
  let hasStopped = false
  let isClosed = false
  return {
    isClosed: () => isClosed,
    note(notes, stops) {
      if (isClosed && (notes & noted.choices) !== 0 && started < answers) {
        reader.startPart()
        started += 1
        isClosed = false
        hasStopped = false
      }
      hasStopped ||= stops > 0
      if (hasStopped && isUsageOnly(notes)) isClosed = true
    },
  }
}

/** Passes bytes in order, except events that turn out to be unwanted. */
interface Sieve {
  /** Takes a chunk; returns where to start reading it. */
  readonly start: (chunk: Buffer) => number
  /** The bytes of the event that ends at this offset, as far as they are held. */
  readonly event: (at: number) => Buffer
  /** To be called where an event ends. Bytes of an unwanted event that have passed cannot be taken back. */
  readonly endEvent: (at: number, isUnwanted: boolean) => void
  /** Whether a part of the present event has passed. */
  readonly isPartlyOut: () => boolean
  /** Passes these bytes in place of an event that was removed. */
  readonly put: (bytes: Buffer) => void
  /** To be called where a chunk ends within an event, of which at most this much is held. */
  readonly endChunk: (mostHeld: number) => void
  /** The bytes that pass now. */
  readonly take: () => Buffer
  /** The bytes that are still held. */
  readonly end: () => Buffer
}

function createSieve(): Sieve {
  let chunk: Buffer = nothing
  /** The bytes of the chunk from here to `eventStart` pass. */
  let passFrom = 0
  let eventStart = 0
  let passed: Buffer[] = []
  let held: Buffer[] = []
  let heldBytes = 0
  /** A part of the event has passed. */
  let isPartlyOut = false
  /** The removed event ended in a CR at the chunk's end; its LF may follow. */
  let dropsLineFeed = false

  function release(): void {
    if (heldBytes === 0) return
    passed.push(...held)
    drop()
  }

  function drop(): void {
    if (heldBytes === 0) return
    held = []
    heldBytes = 0
  }

  function flush(): void {
    if (eventStart > passFrom) passed.push(chunk.subarray(passFrom, eventStart))
  }

  return {
    start(next) {
      chunk = next
      if (passed.length > 0) passed = []
      const drops = dropsLineFeed && chunk[0] === 0x0a
      if (chunk.length > 0) dropsLineFeed = false
      passFrom = drops ? 1 : 0
      eventStart = passFrom
      return passFrom
    },
    event: (at) => Buffer.concat([...held, chunk.subarray(eventStart, at)]),
    endEvent(at, isUnwanted) {
      if (!isUnwanted) {
        release()
        eventStart = at
      } else {
        flush()
        drop()
        dropsLineFeed = at === chunk.length && chunk[at - 1] === 0x0d
        passFrom = at
        eventStart = at
      }
      isPartlyOut = false
    },
    isPartlyOut: () => isPartlyOut,
    put(bytes) {
      passed.push(bytes)
    },
    endChunk(mostHeld) {
      const size = chunk.length - eventStart
      if (heldBytes + size > mostHeld) {
        release()
        isPartlyOut = true
        eventStart = chunk.length
        return
      }
      flush()
      passFrom = eventStart = chunk.length
      held.push(chunk.subarray(chunk.length - size))
      heldBytes += size
    },
    take() {
      if (passed.length === 0 && passFrom === 0 && eventStart === chunk.length) return chunk
      flush()
      const only = passed[0]
      return passed.length === 1 && only ? only : Buffer.concat(passed)
    },
    end: () => Buffer.concat(held),
  }
}
