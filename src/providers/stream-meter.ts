import { unitsOf } from '#core/usage.ts'
import { type OperatorRefusal, operatorRefusalInEvent, withoutOperatorNames } from './operator-refusal.ts'
import type { PassedUnits, StreamMeter, StreamOptions } from './provider.ts'
import { createStreamScanner, noted, type StreamWords, type TextBytes } from './stream-scanner.ts'
import { unitsOfMedia, unitsOfText } from './text-units.ts'
import type { UsageReader } from './usage-reader.ts'

/** What a protocol's streams are like. */
export interface StreamGrammar {
  readonly words: StreamWords
  readonly createUsageReader: () => UsageReader
  /** Whether the figures are the last word, should nothing more come; of so many answers in one stream. */
  readonly isFinal: (seen: StreamNotes, answers: number) => boolean
  /** Whether, where the figures are final, nothing more comes that could change them. */
  readonly isOver: (seen: StreamNotes) => boolean
}

/** What was noted in all events so far. */
interface StreamNotes {
  hasUsage: boolean
  hasTopUsage: boolean
  /** The last event that said something had usage and nothing else. */
  endsInUsage: boolean
  /** Text came after the last usage. */
  hasTextSince: boolean
  stops: number
  status: string
  isDone: boolean
  /** The upstream has ended the stream, and did not break off. */
  isEnded: boolean
  isError: boolean
  /** Something came that is more than a comment. */
  hasData: boolean
}

/** Past this a held-back event is let through as it is. */
const heldBytesMax = 32 * 1024 * 1024

const nothing = Buffer.alloc(0)

/**
 * Meters a stream as it passes. With `withholdsUsage` it takes out the event that the gateway asked for and the
 * client did not: the one with usage and choices that say nothing. An event is held back only until it is known
 * not to be that one, which is as soon as its choices say something. An error loses the names by which the provider
 * knows the operator; one that speaks of the operator's account does not pass, nor does what comes after it.
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
    // Most events are this: text, and nothing else.
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

  /** Usage without a figure, or of zeros, states nothing. */
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

  /** How much of an event that is not whole is held back: an error to its end, what may be unwanted until it says something. */
  function mostHeld(notes: number): number {
    if ((notes & noted.error) !== 0) return heldBytesMax
    return withholdsUsage && (notes & noted.choices) === 0 && !sieve.isPartlyOut() ? heldBytesMax : 0
  }

  /** The event at hand is an error, and ends here. */
  function passError(at: number): void {
    const event = sieve.event(at)
    const shown = shownOf(event)
    sieve.endEvent(at, shown !== event)
    if (shown !== event) sieve.put(shown)
  }

  /** What passes of an error: the same bytes where there is nothing to hide. */
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
      // A last event whose blank line never came; most clients take it for one.
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

/** It has usage at the top level, and neither says something nor fails. */
function isUsageOnly(notes: number): boolean {
  return (notes & (noted.topUsage | noted.choices | noted.error)) === noted.topUsage
}

function totalOf(texts: readonly TextBytes[]): number {
  return texts.reduce((sum, { ascii, other }) => sum + ascii + other, 0)
}

/** Units of the text of one kind: at least one for each event in which some of it came. */
interface EventCount {
  /** An event with text is over. */
  readonly note: (bytes: TextBytes) => void
  /** @param isOpen the event at hand has text, and is not over */
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
 * Of several answers in one stream some servers send one after the other, each with an end and an event of usage of its
 * own. Usage that comes after both is another part, and not more of the same.
 */
interface Parts {
  readonly note: (notes: number, stops: number) => void
  /** What comes next may be of another answer. */
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

/** Lets bytes through in order, but for events that turn out to be unwanted. */
interface Sieve {
  /** Takes a chunk; returns where to start reading it. */
  readonly start: (chunk: Buffer) => number
  /** What is here of the event that ends here. */
  readonly event: (at: number) => Buffer
  /** The event at hand ends here. What is out of an unwanted one stays out. */
  readonly endEvent: (at: number, isUnwanted: boolean) => void
  /** Part of the event at hand has gone out. */
  readonly isPartlyOut: () => boolean
  /** Lets this through in the place of an event that was taken out. */
  readonly put: (bytes: Buffer) => void
  /** The chunk ends within an event, of which no more than this is held back. */
  readonly endChunk: (mostHeld: number) => void
  /** What passes. */
  readonly take: () => Buffer
  /** What is held back still. */
  readonly end: () => Buffer
}

function createSieve(): Sieve {
  let chunk: Buffer = nothing
  /** Bytes of the chunk from here to `eventStart` pass. */
  let passFrom = 0
  let eventStart = 0
  let passed: Buffer[] = []
  let held: Buffer[] = []
  let heldBytes = 0
  /** Part of the event has gone out. */
  let isPartlyOut = false
  /** The event that was taken out ended in a CR at the chunk's end: its LF may come yet. */
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
