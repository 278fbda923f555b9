import { type JsonRecord, parse, parseRecord } from '#providers/figures.ts'
import type { UsageReader } from '#providers/usage-reader.ts'

/**
 * Scans server-sent events byte by byte, without parsing them. At every byte it knows its place in the event's JSON,
 * notes the few things that metering needs, and keeps only a usage object while that passes. The state carries over to
 * the next chunk, so it does not matter where the network cuts the stream.
 *
 * Only JSON in `data:` lines is read. The end of a line closes every string (a JSON string cannot span lines), so a line
 * that is not JSON cannot affect the following ones.
 */

/** The names of the members in one protocol's events. */
export interface StreamWords {
  /** Members whose string value is text that the model wrote; below, those that hold its reasoning. */
  readonly text: readonly string[]
  readonly reasoning: readonly string[]
  /**
   * Members whose object holds what the model wrote. Every string in it is text, whatever its name, except labels;
   * strings within a label are not text either.
   */
  readonly grows?: readonly string[]
  readonly labels?: readonly string[]
  /** Within such an object: members that repeat the reasoning in parts. */
  readonly details?: readonly string[]
  /** Members whose string holds audio or an image in base64: everywhere, and within such an object. */
  readonly media?: readonly string[]
  readonly innerMedia?: readonly string[]
  /** The places of `usage`: `''` for the top level, else the top-level member that holds it. */
  readonly usageIn: readonly string[]
  /** At the same places: the usage of the provider's tools, and the service tier. */
  readonly tools?: string
  readonly tier?: string
  /** A member whose string value says that the answer, or one of several, has ended. */
  readonly stop?: string
  /** At the places of usage: a member whose value is the status of the answer. */
  readonly status?: string
  /** At the places of usage: a member that names the model that answers. */
  readonly model?: string
  /** A top-level member that names the kind of event, and the kinds that are errors. */
  readonly kind?: string
}

/**
 * What was noted in an event, as the bits of one number: creating an object for each event would cost more than scanning
 * it.
 */
export const noted = {
  /** A usage object at one of its places; below, one at the top level. */
  usage: 1,
  topUsage: 2,
  /** `choices` hold a string that is not empty. */
  choices: 4,
  /** `[DONE]`. */
  done: 8,
  text: 16,
  /** The event is an error. */
  error: 32,
  /** The event holds JSON, so it is more than a comment. */
  data: 64,
  /** By its kind the event's text is base64 of audio. */
  media: 128,
} as const

export interface StreamScanner {
  /** Scans on, to the end of an event (with its blank line) or of the chunk; returns the offset after it. */
  readonly scan: (chunk: Buffer, from: number) => number
  /** Whether the last `scan` stopped at an event's end. */
  readonly isAtEventEnd: () => boolean
  /** Of the present event: what was noted (`noted`), how many answers ended in it, and the status that it states. */
  readonly notes: () => number
  readonly stops: () => number
  readonly status: () => string
  /** Whether all brackets of the event are closed. */
  readonly isWhole: () => boolean
  readonly nextEvent: () => void
  /** What was written since the start, in bytes. */
  readonly written: Written
}

/** What a model wrote, in bytes. */
interface Written {
  readonly text: TextBytes
  readonly reasoning: TextBytes
  /** Reasoning in details, which usually repeats the other. */
  readonly details: TextBytes
  /** Base64 of audio and images. */
  readonly media: TextBytes
}

export interface TextBytes {
  ascii: number
  other: number
}

// The scanner's place in a line.
const field = 0
const skipping = 1
const json = 2
const inString = 3
const afterBackslash = 4
const naming = 5

// The meaning of a member's name.
const unknown = 0
const usage = 1
const tools = 2
const choices = 3
const holder = 4
const kind = 5
const grows = 6
const label = 7
const details = 8
const innerMedia = 9
// From this meaning on, the string value of a member matters, even if a chunk's end cuts it.
const firstOfStrings = 10
const text = 10
const media = 11
const reasoning = 12
const detail = 13
const lastOfText = 13
const stop = 14
const failure = 15
// From this meaning on, the content of the string matters as well.
const firstOfWords = 16
const tier = 16
const status = 17
const modelName = 18

const [lineFeed, carriageReturn, quote, backslash] = [0x0a, 0x0d, 0x22, 0x5c]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]
const [comma, colon, letterD] = [0x2c, 0x3a, 0x44]

const dataField = Buffer.from('data:')
/** An event of this name is an error, whatever its data. */
const errorEvent = Buffer.from('event: error')
const eventFieldBytes = 6
/** Longest name that may matter. */
const nameBytesMax = 24
/** Longest name of a model, with what escapes its slashes. */
const modelBytesMax = 300
/** A usage object has a few hundred bytes; a hostile one must not grow without bound. */
const usageBytesMax = 64 * 1024

/** After this many misses in a row the opening is no longer compared. */
const missesMax = 16
const openingBytesMax = 2048

interface Opening {
  /** From the event's first byte to the quote before its text. */
  readonly bytes: Buffer
  readonly depth: number
  readonly topMeaning: number
  readonly growsAt: number
  readonly innerAt: number
  readonly within: number
  /** The meaning of that text. */
  readonly meaning: number
  readonly notes: number
}

/** The kind of an event whose text is base64. */
const audioKind = 'response.audio.delta'

/**
 * Bytes in a string: 0 ASCII, 1 other, 2 a byte that is handled separately. Outside of a string: 0 a byte that does not
 * matter.
 */
const stringKinds = new Uint8Array(256).fill(1, 0x80)
const jsonKinds = new Uint8Array(256)
for (const byte of [lineFeed, carriageReturn, quote, backslash]) stringKinds[byte] = 2
for (const byte of [lineFeed, carriageReturn, quote, openBrace, closeBrace]) jsonKinds[byte] = 1
for (const byte of [openBracket, closeBracket, comma, colon, letterD]) jsonKinds[byte] = 1

/** @param isWholeBody scans one JSON text instead of events */
export function createStreamScanner(
  words: StreamWords,
  reader: UsageReader,
  { isWholeBody = false }: { readonly isWholeBody?: boolean } = {},
): StreamScanner {
  const names = namesOf(words)
  const usageAtTop = words.usageIn.includes('')
  const usageInChoices = words.usageIn.includes('choices')

  // The line and the event. An answer that starts like an object is one JSON text and not a stream, usually an error.
  let isBody = isWholeBody
  let isAtStart = !isWholeBody
  let mode = isWholeBody ? json : field
  let fieldAt = 0
  let isLineEmpty = true
  let isEventEmpty = true
  let wasCarriageReturn = false
  let isEnd = false
  let notes = 0
  let stops = 0
  let statusWord = ''
  const textBytes: TextBytes = { ascii: 0, other: 0 }
  const reasoningBytes: TextBytes = { ascii: 0, other: 0 }
  const detailBytes: TextBytes = { ascii: 0, other: 0 }
  const mediaBytes: TextBytes = { ascii: 0, other: 0 }

  // The place in the JSON: the last significant byte, the last name, and the last name at the top level.
  let depth = 0
  let last = 0
  let meaning = unknown
  let topMeaning = unknown
  let isValue = false
  let isText = false
  let isWord = false

  // The depth of the enclosing object of text, that of details or a label within it, and what an unknown name means
  // there.
  let growsAt = -1
  let innerAt = -1
  let within = unknown

  // A name or a word, which a chunk's end may cut.
  let nameStart = -1
  const wordBytesMax = words.model === undefined ? nameBytesMax : modelBytesMax
  const carried = Buffer.alloc(wordBytesMax)
  let carriedBytes = 0

  // Text events usually start with the same bytes as the one before. The state after these bytes is then known at once.
  let eventAt = -1
  let opening: Opening | undefined
  let misses = 0

  // The usage object that passes now, or the object of tools.
  let usageDepth = -1
  let isTools = false
  let usageFrom = -1
  let usageBytes = 0
  let usagePieces: Buffer[] = []

  function nextEvent(): void {
    notes = 0
    stops = 0
    statusWord = ''
    isEnd = false
    isEventEmpty = true
    depth = 0
    last = 0
    meaning = unknown
    topMeaning = unknown
    growsAt = -1
    innerAt = -1
    within = unknown
    usageDepth = -1
    usageFrom = -1
    usageBytes = 0
    usagePieces = []
  }

  function collectUsage(chunk: Buffer, end: number): void {
    if (usageFrom < 0) return
    usageBytes += end - usageFrom
    // A copy, since a slice would keep the whole chunk in memory.
    if (usageBytes <= usageBytesMax) usagePieces.push(Buffer.from(chunk.subarray(usageFrom, end)))
    usageFrom = -1
  }

  function closeUsage(chunk: Buffer, end: number): void {
    collectUsage(chunk, end)
    const isTop = usageDepth === 1
    const record = usageBytes <= usageBytesMax ? parseRecord(Buffer.concat(usagePieces)) : undefined
    usageDepth = -1
    usageBytes = 0
    usagePieces = []
    if (!record) return
    if (isTools) reader.takeTools(record)
    else takeUsage(record, isTop)
  }

  function takeUsage(record: JsonRecord, isTop: boolean): void {
    reader.take(record)
    notes |= isTop ? noted.usage | noted.topUsage : noted.usage
  }

  /** Whether the present object is a place of usage. */
  function isAtPlace(): boolean {
    // A whole answer has usage at the top level.
    if (depth === 1) return usageAtTop || isBody
    return (depth === 2 && topMeaning === holder) || (depth === 3 && topMeaning === choices && usageInChoices)
  }

  /** Whether an error at this place is the answer's: at the top level, in the member that holds usage, or in a choice. */
  function isOfError(): boolean {
    return depth === 1 || (depth === 2 && topMeaning === holder) || (depth === 3 && topMeaning === choices)
  }

  function takeWord(word: string): void {
    if (meaning === status) {
      if (isAtPlace()) statusWord = word
    } else if (meaning === tier) {
      if (isAtPlace()) reader.takeTier(word)
    } else if (meaning === modelName) {
      if (depth < 3 && isAtPlace()) reader.takeModel(unescaped(word))
    } else if (depth === 1 && word === 'error') notes |= noted.error
    else if (depth === 1 && word === audioKind) notes |= noted.media
  }

  /** The meaning of a name within an object of text. */
  function placed(name: number): number {
    if (name === unknown) return within
    if (within === text) return name === innerMedia ? media : name
    return name === innerMedia || (name >= text && name <= lastOfText) ? within : name
  }

  function bytesOf(): TextBytes {
    if (meaning === reasoning) return reasoningBytes
    if (meaning === detail) return detailBytes
    return meaning === media || (notes & noted.media) !== 0 ? mediaBytes : textBytes
  }

  /** Remembers the event up to the start of its text, unless the openings of such events turned out to differ. */
  function rememberOpening(chunk: Buffer, end: number): void {
    if (eventAt < 0 || misses > missesMax || end - eventAt > openingBytesMax) return
    if ((notes & (noted.text | noted.usage)) !== 0 || stops > 0 || usageDepth >= 0) return
    const bytes = Buffer.from(chunk.subarray(eventAt, end))
    opening = { bytes, depth, topMeaning, growsAt, innerAt, within, meaning, notes }
  }

  /** At an event's start: skips the opening if it is the remembered one; returns the offset to continue at. */
  function takeOpening(chunk: Buffer, at: number): number {
    eventAt = at
    if (!opening) return at
    const end = at + opening.bytes.length
    if (end > chunk.length || !chunk.subarray(at, end).equals(opening.bytes)) {
      if (end <= chunk.length) misses += 1
      if (misses > missesMax) opening = undefined
      return at
    }
    misses = 0
    eventAt = -1
    isLineEmpty = false
    isEventEmpty = false
    depth = opening.depth
    topMeaning = opening.topMeaning
    growsAt = opening.growsAt
    innerAt = opening.innerAt
    within = opening.within
    notes = opening.notes
    mode = inString
    isValue = true
    isText = true
    isWord = false
    last = colon
    meaning = opening.meaning
    return end
  }

  function openString(chunk: Buffer, at: number): void {
    mode = inString
    isValue = last === colon
    isText = isValue && meaning >= text && meaning <= lastOfText
    isWord = isValue && (meaning >= firstOfWords || meaning === kind)
    if (isValue) {
      if (topMeaning === choices) notes |= noted.choices
      if (isText) rememberOpening(chunk, at)
      else if (chunk[at] !== quote) noteString()
    }
    if (!isValue || isWord) {
      nameStart = at
      carriedBytes = 0
    }
  }

  /** Notes a string that is not empty. */
  function noteString(): void {
    if (meaning === stop) stops += 1
    else if (meaning === failure && isOfError()) notes |= noted.error
  }

  function closeString(chunk: Buffer, end: number): void {
    mode = json
    last = quote
    isText = false
    if (isValue && !isWord) return
    const size = end - nameStart
    const isLong = carriedBytes + size > wordBytesMax
    const isCut = carriedBytes > 0
    if (isCut && !isLong) chunk.copy(carried, carriedBytes, nameStart, end)
    const bytes = isCut ? carried : chunk
    const from = isCut ? 0 : nameStart
    const length = isCut ? carriedBytes + size : size
    nameStart = -1
    carriedBytes = 0
    if (isWord) {
      isWord = false
      if (!isLong) takeWord(bytes.toString('latin1', from, from + length))
      return
    }
    meaning = isLong ? unknown : meaningOf(names, bytes, from, length)
    if (within !== unknown) meaning = placed(meaning)
    if (depth === 1) topMeaning = meaning
  }

  /** Notes the kind of the event, if the word is as long as one that matters. */
  function noteKind(chunk: Buffer, at: number, end: number): void {
    const word = chunk.toString('latin1', at, end)
    if (word === 'error') notes |= noted.error
    else if (word === audioKind) notes |= noted.media
  }

  /** Enters an object that is the value of a member. */
  function openMember(at: number): void {
    if (meaning === failure) {
      if (isOfError()) notes |= noted.error
    } else if ((meaning === usage || meaning === tools) && usageDepth < 0 && isAtPlace()) {
      isTools = meaning === tools
      usageDepth = depth
      usageFrom = at
    } else if ((meaning === grows || (meaning === text && depth === 1)) && within === unknown) {
      growsAt = depth
      within = text
    }
  }

  /** Enters an object or a list that is the value of a member within an object of text. */
  function openInner(): void {
    if (within !== text || (meaning !== label && meaning !== details)) return
    innerAt = depth
    within = meaning === label ? label : detail
  }

  function closeInner(): void {
    if (depth === innerAt) {
      innerAt = -1
      within = text
    } else if (depth === growsAt) {
      growsAt = -1
      within = unknown
    }
  }

  /** Takes a significant byte of the JSON outside of strings. */
  function takeStructure(chunk: Buffer, byte: number, at: number): void {
    switch (byte) {
      case quote:
        openString(chunk, at + 1)
        return
      case openBrace:
        if (last === colon) {
          if (within !== unknown) openInner()
          openMember(at)
        }
        notes |= noted.data
        depth += 1
        break
      case openBracket:
        if (within !== unknown && last === colon) openInner()
        depth += 1
        break
      case closeBrace:
      case closeBracket:
        depth -= 1
        if (within !== unknown) closeInner()
        if (depth === usageDepth) closeUsage(chunk, at + 1)
        break
      case letterD:
        if (last === openBracket && depth === 1) notes |= noted.done
        return
    }
    last = byte
  }

  function endLine(chunk: Buffer, at: number): void {
    if (usageDepth >= 0) collectUsage(chunk, at)
    if (mode === naming && fieldAt === errorEvent.length) notes |= noted.error
    mode = field
    fieldAt = 0
    isText = false
    isWord = false
    nameStart = -1
    carriedBytes = 0
    isEnd = isLineEmpty
    isLineEmpty = true
  }

  /** Takes a line's end; returns the offset after it. */
  function takeLineEnd(chunk: Buffer, at: number): number {
    endLine(chunk, at)
    if (chunk[at] === lineFeed) return at + 1
    if (at + 1 < chunk.length) return chunk[at + 1] === lineFeed ? at + 2 : at + 1
    wasCarriageReturn = true
    return at + 1
  }

  /** Continues in a string to its end, the line's end or the chunk's end. */
  function takeString(chunk: Buffer, from: number): number {
    let at = from
    let other = 0
    let kind = stringKinds[chunk[at] ?? 0] ?? 0
    while (at < chunk.length && kind <= 1) {
      other += kind
      at += 1
      kind = stringKinds[chunk[at] ?? 0] ?? 0
    }
    if (isText && at > from) {
      notes |= noted.text
      const bytes = bytesOf()
      bytes.ascii += at - from - other
      bytes.other += other
    }
    if (at >= chunk.length) return at
    const byte = chunk[at]
    if (byte === quote) closeString(chunk, at)
    else if (byte === backslash) mode = afterBackslash
    else return isBody ? at + 1 : takeLineEnd(chunk, at)
    return at + 1
  }

  /**
   * Continues in JSON to a line's end, a string that is handled separately, or the chunk's end. Most bytes pass through
   * this loop: it reads whole strings in place, and keeps the state in locals meanwhile.
   */
  function takeJson(chunk: Buffer, from: number): number {
    const length = chunk.length
    let at = from
    let lastByte = last
    let name = meaning
    while (at < length) {
      const byte = chunk[at] ?? 0
      if (jsonKinds[byte] === 0) {
        at += 1
        continue
      }
      if (byte === quote) {
        const isPlain = lastByte !== colon || name < firstOfStrings
        let end = at + 1
        if (isPlain) while (end < length && (stringKinds[chunk[end] ?? 0] ?? 0) <= 1) end += 1
        if (isPlain && chunk[end] === quote) {
          if (lastByte !== colon) {
            const size = end - at - 1
            name =
              size <= nameBytesMax && names[size] !== undefined
                ? meaningOf(names, chunk, at + 1, size)
                : unknown
            if (within !== unknown) name = placed(name)
            if (depth === 1) topMeaning = name
          } else if (topMeaning === choices) notes |= noted.choices
          else if (name === kind && depth === 1 && (end - at === 6 || end - at === audioKind.length + 1))
            noteKind(chunk, at + 1, end)
          lastByte = quote
          at = end + 1
          continue
        }
      } else if (byte === comma || byte === colon) {
        lastByte = byte
        at += 1
        continue
      } else if (byte === lineFeed || byte === carriageReturn) {
        if (isBody) {
          at += 1
          continue
        }
        last = lastByte
        meaning = name
        return takeLineEnd(chunk, at)
      }
      last = lastByte
      meaning = name
      takeStructure(chunk, byte, at)
      at += 1
      if (mode !== json) return at
      lastByte = last
      name = meaning
    }
    last = lastByte
    meaning = name
    return at
  }

  /** Takes one byte of a line's field name. */
  function takeField(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === lineFeed || byte === carriageReturn) return takeLineEnd(chunk, at)
    isLineEmpty = false
    isEventEmpty = false
    if (byte !== dataField[fieldAt]) {
      mode = fieldAt === 0 && byte === errorEvent[0] ? naming : skipping
      fieldAt = 1
    } else {
      fieldAt += 1
      if (fieldAt === dataField.length) mode = json
      if (mode === json && usageDepth >= 0) usageFrom = at + 1
    }
    return at + 1
  }

  /** Continues in an event's name, as long as it may be that of an error. */
  function takeName(chunk: Buffer, at: number): number {
    const byte = chunk[at]
    if (byte === lineFeed || byte === carriageReturn) return takeLineEnd(chunk, at)
    // The space after the colon is optional.
    if (fieldAt === eventFieldBytes && byte === errorEvent[fieldAt + 1]) fieldAt += 2
    else if (byte === errorEvent[fieldAt]) fieldAt += 1
    else mode = skipping
    return at + 1
  }

  function skipLine(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length && chunk[at] !== lineFeed && chunk[at] !== carriageReturn) at += 1
    return at < chunk.length ? takeLineEnd(chunk, at) : at
  }

  /** Keeps the name or object that the chunk's end cuts in two. */
  function suspend(chunk: Buffer): void {
    if (usageFrom >= 0) {
      collectUsage(chunk, chunk.length)
      usageFrom = 0
    }
    if (nameStart < 0) return
    const size = chunk.length - nameStart
    if (carriedBytes + size <= wordBytesMax) chunk.copy(carried, carriedBytes, nameStart)
    carriedBytes = Math.min(wordBytesMax + 1, carriedBytes + size)
    nameStart = 0
  }

  /** At the stream's first byte: skips a byte order mark. */
  function takeStart(chunk: Buffer, from: number): number {
    isAtStart = false
    const at = chunk[from] === 0xef && chunk[from + 1] === 0xbb && chunk[from + 2] === 0xbf ? from + 3 : from
    if (chunk[at] !== openBrace) return at
    isBody = true
    isEventEmpty = false
    mode = json
    return at
  }

  function scan(chunk: Buffer, from: number): number {
    let at = from
    if (wasCarriageReturn && at < chunk.length) {
      wasCarriageReturn = false
      if (chunk[at] === lineFeed) {
        at += 1
        isEnd = isEventEmpty
      }
    }
    eventAt = -1
    if (isAtStart && at < chunk.length) at = takeStart(chunk, at)
    if (mode === field && isEventEmpty && !isEnd) at = takeOpening(chunk, at)
    while (at < chunk.length && !isEnd) {
      if (mode === inString) at = takeString(chunk, at)
      else if (mode === json) at = takeJson(chunk, at)
      else if (mode === field) at = takeField(chunk, at)
      else if (mode === skipping) at = skipLine(chunk, at)
      else if (mode === naming) at = takeName(chunk, at)
      else {
        mode = inString
        at += 1
        if (isText) {
          notes |= noted.text
          bytesOf().ascii += 1
        }
      }
    }
    if (!isEnd) suspend(chunk)
    return at
  }

  return {
    scan,
    nextEvent,
    isAtEventEnd: () => isEnd,
    notes: () => notes,
    stops: () => stops,
    status: () => statusWord,
    isWhole: () => depth === 0 && !isEventEmpty,
    written: { text: textBytes, reasoning: reasoningBytes, details: detailBytes, media: mediaBytes },
  }
}

interface Name {
  readonly bytes: Buffer
  readonly meaning: number
}

/** Names, indexed by their length. */
type Names = readonly (readonly Name[] | undefined)[]

const knownNames = new WeakMap<StreamWords, Names>()

/** Created once for each protocol: otherwise each idle stream would hold four kilobytes. */
function namesOf(words: StreamWords): Names {
  const known = knownNames.get(words)
  if (known) return known
  const made = createNames(words)
  knownNames.set(words, made)
  return made
}

function createNames(words: StreamWords): Names {
  const names: (Name[] | undefined)[] = Array.from({ length: nameBytesMax + 1 }, () => undefined)
  const add = (word: string, meaning: number): void => {
    const bytes = Buffer.from(word)
    names[bytes.length] = [...(names[bytes.length] ?? []), { bytes, meaning }]
  }
  for (const word of words.text) add(word, text)
  for (const word of words.reasoning) add(word, reasoning)
  for (const word of words.grows ?? []) add(word, grows)
  for (const word of words.details ?? []) add(word, details)
  for (const word of words.media ?? []) add(word, media)
  for (const word of words.innerMedia ?? []) add(word, innerMedia)
  for (const word of words.usageIn) if (word !== '' && word !== 'choices') add(word, holder)
  const others = [words.tools, words.stop, words.tier, words.status, words.kind, words.model]
  for (const [at, word] of others.entries())
    if (word !== undefined) add(word, [tools, stop, tier, status, kind, modelName][at] ?? unknown)
  add('usage', usage)
  add('choices', choices)
  add('error', failure)
  for (const word of words.labels ?? []) add(word, label)
  return names
}

/** The content of a JSON string that is given as one character for each byte. */
function unescaped(word: string): string {
  const bytes = Buffer.from(word, 'latin1')
  if (!word.includes('\\')) return bytes.toString()
  const value = parse(Buffer.concat([quotes, bytes, quotes]))
  return typeof value === 'string' ? value : ''
}

const quotes = Buffer.from('"')

function meaningOf(names: Names, bytes: Buffer, start: number, size: number): number {
  const candidates = names[size]
  if (!candidates) return unknown
  for (const name of candidates) {
    let at = 0
    while (at < size && bytes[start + at] === name.bytes[at]) at += 1
    if (at === size) return name.meaning
  }
  return unknown
}
