import type { StreamMeter } from './provider.ts'
import { createEventNotes, createStreamScanner, type EventNotes, type StreamWords } from './stream-scanner.ts'
import { unitsOfText } from './text-units.ts'
import type { UsageReader } from './usage-reader.ts'

/** What a protocol's streams are like. */
export interface StreamGrammar {
  readonly words: StreamWords
  readonly createUsageReader: () => UsageReader
  /** Whether the figures are final after this event; `seen` is what all events so far noted, this one too. */
  readonly isFinal: (event: EventNotes, seen: EventNotes) => boolean
}

/** Past this a held-back event is let through as it is. */
const heldBytesMax = 32 * 1024 * 1024

const nothing = Buffer.alloc(0)

/**
 * Meters a stream as it passes. With `withholdsUsage` it takes out the event that the gateway asked for and the
 * client did not: the one with usage and an empty list of choices. An event is held back only until it is known
 * not to be that one, which is as soon as its choices hold something.
 */
export function openStreamMeter(
  grammar: StreamGrammar,
  { withholdsUsage }: { readonly withholdsUsage: boolean },
): StreamMeter {
  const reader = grammar.createUsageReader()
  const scanner = createStreamScanner(grammar.words, reader)
  const seen = createEventNotes()
  let textEvents = 0
  let isFinal = false

  function noteEvent(): void {
    const notes = scanner.notes()
    if (notes.hasText) textEvents += 1
    seen.hasUsage ||= notes.hasUsage
    seen.hasTopUsage ||= notes.hasTopUsage
    seen.hasStop ||= notes.hasStop
    if (!isFinal && reader.usage()) isFinal = grammar.isFinal(notes, seen)
    scanner.nextEvent()
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
      } else sieve.endChunk(!scanner.notes().hasChoices)
    }
    return sieve.take()
  }

  return {
    push: withholdsUsage ? sift : pass,
    end() {
      // A last event whose blank line never came; most clients take it for one.
      const isOurs = isUsageOnly(scanner.notes()) && scanner.isWhole()
      noteEvent()
      return sieve.end(isOurs)
    },
    usage: reader.usage,
    isComplete: () => isFinal,
    outputEstimate() {
      const events = textEvents + (scanner.notes().hasText ? 1 : 0)
      return Math.max(events, unitsOfText(scanner.asciiBytes(), scanner.otherBytes()))
    },
  }
}

function isUsageOnly(notes: EventNotes): boolean {
  return notes.hasTopUsage && notes.hasNoChoices
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
