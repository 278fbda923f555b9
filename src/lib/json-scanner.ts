/**
 * Scans the bytes of a JSON object and notes where its top-level members lie. It checks the whole grammar except the
 * inside of strings, takes any number of bytes at a time, and continues where it stopped.
 */
export interface JsonScanner {
  /** Scans about this many bytes more; true once it is done, well or not. */
  readonly run: (bytes: number) => boolean
  readonly byKey: ReadonlyMap<string, ScannedMember>
  readonly insertAt: () => number
  /** What is wrong; undefined while nothing is. */
  readonly message: () => string | undefined
}

interface ScannedMember {
  readonly key: string
  readonly start: number
  readonly end: number
}

// What may stand next.
const value = 0
const valueOrEnd = 1
const key = 2
const keyOrEnd = 3
const colon = 4
const commaOrEnd = 5
const insideString = 6
const nothing = 7

// Bounds that no usual request reaches, so that a hostile one costs little memory and no long turn of the event loop.
const depthMax = 1000
const membersMax = 1000
const keyBytesMax = 4096
const numberBytesMax = 4096
/**
 * Strings are scanned byte by byte up to this length, then searched natively: a call costs as much as some 100 bytes.
 */
const walkBytes = 96
const searchBytes = 512 * 1024

const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d]
const [openBracket, closeBracket, comma, colonByte] = [0x5b, 0x5d, 0x2c, 0x3a]
const literals = ['true', 'false', 'null'].map((word) => Buffer.from(word))

/** @param from start in the middle, just after a top-level key; the bytes before are not checked */
export function createJsonScanner(
  body: Buffer,
  from?: { readonly afterKey: string; readonly at: number },
): JsonScanner {
  const length = body.length
  const byKey = new Map<string, ScannedMember>()
  // A plain list: a typed array of this size lives outside the heap, and costs the collector more than the scan.
  const containers: number[] = [0]
  let position = from?.at ?? 0
  let depth = from ? 1 : 0
  let expected = from ? colon : value
  let isKey = false
  let stringStart = 0
  let currentKey = from?.afterKey ?? ''
  let valueStart = 0
  let insertAt = 0
  let message: string | undefined
  if (from) containers[1] = openBrace

  function fail(what: string): true {
    message = `The body is not valid JSON: ${what} at byte ${Math.min(position, length)}.`
    return true
  }

  function refuse(what: string): true {
    message = what
    return true
  }

  function open(byte: number): boolean {
    if (depth === depthMax) return refuse(`The body is nested more than ${depthMax} deep.`)
    depth += 1
    containers[depth] = byte
    expected = byte === openBrace ? keyOrEnd : valueOrEnd
    if (depth === 1) insertAt = position + 1
    return false
  }

  function endValue(end: number): boolean {
    expected = depth === 0 ? nothing : commaOrEnd
    if (depth !== 1) return false
    if (byKey.has(currentKey)) return refuse(`The member ${JSON.stringify(currentKey)} stands twice.`)
    if (byKey.size === membersMax) return refuse(`The body has more than ${membersMax} members.`)
    byKey.set(currentKey, { key: currentKey, start: valueStart, end })
    return false
  }

  function endKey(end: number): boolean {
    expected = colon
    if (depth !== 1) return false
    if (end - stringStart > keyBytesMax) return refuse(`A member's name is longer than ${keyBytesMax} bytes.`)
    try {
      currentKey = String(JSON.parse(body.toString('utf8', stringStart, end)))
    } catch {
      return fail('a bad name')
    }
    return false
  }

  /** Goes on in a string that may be longer than the slice; an escape is always taken whole. */
  function continueString(sliceEnd: number): boolean {
    for (;;) {
      const walkEnd = Math.min(length, position + walkBytes)
      while (position < walkEnd) {
        const byte = body[position]
        position += byte === backslash ? 2 : 1
        if (byte === quote) return isKey ? endKey(position) : endValue(position)
      }
      if (position >= length) return fail('a string that does not end')
      const windowEnd = Math.min(length, position + searchBytes)
      const found = body.subarray(position, windowEnd).indexOf(quote)
      const stop = found < 0 ? windowEnd : position + found
      let backslashes = 0
      while (stop - 1 - backslashes >= position && body[stop - 1 - backslashes] === backslash)
        backslashes += 1
      // An odd number of backslashes takes the byte at `stop` with it, be it the quote or the next window's first.
      position = stop + (backslashes & 1)
      if (position >= sliceEnd && position < length) {
        expected = insideString
        return false
      }
    }
  }

  function openString(asKey: boolean, sliceEnd: number): boolean {
    isKey = asKey
    stringStart = position
    position += 1
    return continueString(sliceEnd)
  }

  function close(byte: number): boolean {
    const opened = byte === closeBrace ? openBrace : openBracket
    if (containers[depth] !== opened || depth === 0) return fail('a bracket that does not match')
    depth -= 1
    position += 1
    return endValue(position)
  }

  function takeValue(byte: number, sliceEnd: number): boolean {
    if (depth === 0 && byte !== openBrace) {
      return refuse(
        byte === 0xef ? 'The body starts with a byte order mark.' : 'The body must be a JSON object.',
      )
    }
    if (depth === 1) valueStart = position
    if (byte === quote) return openString(false, sliceEnd)
    if (byte === openBrace || byte === openBracket) {
      const failed = open(byte)
      position += 1
      return failed
    }
    const end = byte === 0x2d || isDigit(byte) ? numberEnd(body, position) : literalEnd(body, position)
    if (end < 0) return fail('something unexpected')
    if (end - position > numberBytesMax) return refuse(`A number is longer than ${numberBytesMax} bytes.`)
    position = end
    return endValue(end)
  }

  /** Takes the next piece; true when the scan is over. */
  function step(byte: number, sliceEnd: number): boolean {
    switch (expected) {
      case valueOrEnd:
        if (byte === closeBracket) return close(byte)
        return takeValue(byte, sliceEnd)
      case value:
        return takeValue(byte, sliceEnd)
      case keyOrEnd:
      case key:
        if (byte === quote) return openString(true, sliceEnd)
        if (byte === closeBrace && expected === keyOrEnd) return close(byte)
        return fail('something that is no name')
      case colon:
        if (byte !== colonByte) return fail('a missing colon')
        position += 1
        expected = value
        return false
      case commaOrEnd:
        if (byte !== comma)
          return byte === closeBrace || byte === closeBracket ? close(byte) : fail('a missing comma')
        position += 1
        expected = containers[depth] === openBrace ? key : value
        return false
      default:
        return fail('something after the end')
    }
  }

  function run(bytes: number): boolean {
    if (message !== undefined) return true
    const sliceEnd = Math.min(length, position + bytes)
    if (expected === insideString && continueString(sliceEnd)) return true
    while (position < sliceEnd) {
      if (expected === insideString) return false
      const byte = body[position] ?? 0
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) position += 1
      else if (step(byte, sliceEnd)) return true
    }
    if (position < length) return false
    return expected === nothing || (length === 0 ? refuse('The body is empty.') : fail('an early end'))
  }

  // Methods, not accessors: every literal with accessors is a hidden class of its own, which keeps what its
  // closures hold alive until the next full collection. Measured: two thirds of a request's garbage.
  return { run, byKey, insertAt: () => insertAt, message: () => message }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** The first byte after the number at `start`, -1 where it is not a number (RFC 8259, section 6). */
function numberEnd(body: Buffer, start: number): number {
  // One byte beyond the bound is enough to detect that it is passed.
  const limit = Math.min(body.length, start + numberBytesMax + 1)
  let at = start
  const digits = (): boolean => {
    const first = at
    while (at < limit && isDigit(body[at] ?? 0)) at += 1
    return at > first
  }
  if (body[at] === 0x2d) at += 1
  if (body[at] === 0x30) at += 1
  else if (!digits()) return -1
  if (body[at] === 0x2e) {
    at += 1
    if (!digits()) return at >= limit && limit < body.length ? limit : -1
  }
  if (body[at] === 0x65 || body[at] === 0x45) {
    at += 1
    if (body[at] === 0x2b || body[at] === 0x2d) at += 1
    if (!digits()) return at >= limit && limit < body.length ? limit : -1
  }
  return at
}

function literalEnd(body: Buffer, start: number): number {
  for (const word of literals) {
    if (body[start] !== word[0]) continue
    const end = start + word.length
    return end <= body.length && body.compare(word, 0, word.length, start, end) === 0 ? end : -1
  }
  return -1
}
