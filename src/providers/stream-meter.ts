import { unitsOf } from '#core/usage.ts'
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
 * not to be that one, which is as soon as its choices say something.
 */
export function openStreamMeter(
  grammar: StreamGrammar,
  { withholdsUsage, answers = Number.POSITIVE_INFINITY }: StreamOptions,
): StreamMeter {
  const reader = grammar.createUsageReader()
  const scanner = createStreamScanner(grammar.words, reader)
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

  function pass(chunk: Buffer): Buffer {
    let at = 0
    while (at < chunk.length) {
      at = scanner.scan(chunk, at)
      if (scanner.isAtEventEnd()) noteEvent()
    }
    return chunk
  }

  const sieve = createSieve()

  function sift(chunk: Buffer): Buffer {
    let at = sieve.start(chunk)
    while (at < chunk.length) {
      at = scanner.scan(chunk, at)
      if (scanner.isAtEventEnd()) {
        at = sieve.endEvent(at, isUsageOnly(scanner.notes()))
        noteEvent()
      } else sieve.endChunk((scanner.notes() & noted.choices) === 0)
    }
    return sieve.take()
  }

  function passed(): PassedUnits {
    const isOpen = (scanner.notes() & noted.text) !== 0
    return {
      output: text.units(written.text, isOpen) + unitsOfMedia(written.media.ascii),
      reasoning: Math.max(reasoning.units(written.reasoning, isOpen), details.units(written.details, isOpen)),
    }
  }

  return {
    push: withholdsUsage ? sift : pass,
    end() {
      // A last event whose blank line never came; most clients take it for one.
      const isOurs = isUsageOnly(scanner.notes()) && scanner.isWhole()
      noteEvent()
      seen.isEnded = true
      updateFinal()
      return sieve.end(isOurs)
    },
    usage: reader.usage,
    extras: reader.extras,
    isComplete: () => isFinal,
    isOver: () => isFinal && grammar.isOver(seen),
    hasBegun: () => seen.hasData || seen.isDone,
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
  /** The event at hand ends here; returns where the next one starts. */
  readonly endEvent: (at: number, isUnwanted: boolean) => number
  /** The chunk ends within an event, which is held back or let through. */
  readonly endChunk: (holds: boolean) => void
  /** What passes. */
  readonly take: () => Buffer
  readonly end: (isUnwanted: boolean) => Buffer
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
    passed.push(...held)
    held = []
    heldBytes = 0
  }

  function flush(): void {
    if (eventStart > passFrom) passed.push(chunk.subarray(passFrom, eventStart))
  }

  return {
    start(next) {
      chunk = next
      passed = []
      const drops = dropsLineFeed && chunk[0] === 0x0a
      if (chunk.length > 0) dropsLineFeed = false
      passFrom = drops ? 1 : 0
      eventStart = passFrom
      return passFrom
    },
    endEvent(at, isUnwanted) {
      if (!isUnwanted || isPartlyOut) {
        release()
        eventStart = at
      } else {
        flush()
        held = []
        heldBytes = 0
        dropsLineFeed = at === chunk.length && chunk[at - 1] === 0x0d
        passFrom = at
        eventStart = at
      }
      isPartlyOut = false
      return at
    },
    endChunk(holds) {
      const size = chunk.length - eventStart
      if (!holds || isPartlyOut || heldBytes + size > heldBytesMax) {
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
    end(isUnwanted) {
      return isUnwanted && !isPartlyOut ? nothing : Buffer.concat(held)
    },
  }
}
