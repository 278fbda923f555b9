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

/**
 * Scans the bytes of a JSON object and notes where its top-level members lie. It checks the whole grammar except the
 * inside of strings, takes any number of bytes at a time, and continues where it stopped.
 */
export class JsonScanner {
  readonly byKey = new Map<string, ScannedMember>()
  /** Offset just after the opening brace. */
  insertAt = 0
  /** What is wrong; undefined while nothing is. */
  message: string | undefined
  readonly #body: Buffer
  // A plain list: a typed array of this size lives outside the heap, and costs the collector more than the scan.
  readonly #containers: number[] = [0]
  #position = 0
  #depth = 0
  #expected = value
  #isKey = false
  #stringStart = 0
  #currentKey = ''
  #valueStart = 0

  /** @param from start in the middle, just after a top-level key; the bytes before are not checked */
  constructor(body: Buffer, from?: { readonly afterKey: string; readonly at: number }) {
    this.#body = body
    if (!from) return
    this.#position = from.at
    this.#depth = 1
    this.#containers[1] = openBrace
    this.#expected = colon
    this.#currentKey = from.afterKey
  }

  /** Scans about this many bytes more; true once it is done, well or not. */
  run(bytes: number): boolean {
    if (this.message !== undefined) return true
    const body = this.#body
    const { length } = body
    const sliceEnd = Math.min(length, this.#position + bytes)
    if (this.#expected === insideString && this.#continueString(sliceEnd)) return true
    while (this.#position < sliceEnd) {
      if (this.#expected === insideString) return false
      const byte = body[this.#position] ?? 0
      if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) this.#position += 1
      else if (this.#step(byte, sliceEnd)) return true
    }
    if (this.#position < length) return false
    if (this.#expected === nothing) return true
    return length === 0 ? this.#refuse('The body is empty.') : this.#fail('an early end')
  }

  /** Takes the next piece; true when the scan is over. */
  #step(byte: number, sliceEnd: number): boolean {
    switch (this.#expected) {
      case valueOrEnd:
        if (byte === closeBracket) return this.#close(byte)
        return this.#takeValue(byte, sliceEnd)
      case value:
        return this.#takeValue(byte, sliceEnd)
      case keyOrEnd:
      case key:
        if (byte === quote) return this.#openString(true, sliceEnd)
        if (byte === closeBrace && this.#expected === keyOrEnd) return this.#close(byte)
        return this.#fail('something that is no name')
      case colon:
        if (byte !== colonByte) return this.#fail('a missing colon')
        this.#position += 1
        this.#expected = value
        return false
      case commaOrEnd:
        if (byte !== comma)
          return byte === closeBrace || byte === closeBracket
            ? this.#close(byte)
            : this.#fail('a missing comma')
        this.#position += 1
        this.#expected = this.#containers[this.#depth] === openBrace ? key : value
        return false
      default:
        return this.#fail('something after the end')
    }
  }

  #takeValue(byte: number, sliceEnd: number): boolean {
    if (this.#depth === 0 && byte !== openBrace) {
      return this.#refuse(
        byte === 0xef ? 'The body starts with a byte order mark.' : 'The body must be a JSON object.',
      )
    }
    if (this.#depth === 1) this.#valueStart = this.#position
    if (byte === quote) return this.#openString(false, sliceEnd)
    if (byte === openBrace || byte === openBracket) {
      const failed = this.#open(byte)
      this.#position += 1
      return failed
    }
    const end =
      byte === 0x2d || isDigit(byte)
        ? numberEnd(this.#body, this.#position)
        : literalEnd(this.#body, this.#position)
    if (end < 0) return this.#fail('something unexpected')
    if (end - this.#position > numberBytesMax)
      return this.#refuse(`A number is longer than ${numberBytesMax} bytes.`)
    this.#position = end
    return this.#endValue(end)
  }

  #open(byte: number): boolean {
    if (this.#depth === depthMax) return this.#refuse(`The body is nested more than ${depthMax} deep.`)
    this.#depth += 1
    this.#containers[this.#depth] = byte
    this.#expected = byte === openBrace ? keyOrEnd : valueOrEnd
    if (this.#depth === 1) this.insertAt = this.#position + 1
    return false
  }

  #close(byte: number): boolean {
    const opened = byte === closeBrace ? openBrace : openBracket
    if (this.#containers[this.#depth] !== opened || this.#depth === 0)
      return this.#fail('a bracket that does not match')
    this.#depth -= 1
    this.#position += 1
    return this.#endValue(this.#position)
  }

  #openString(asKey: boolean, sliceEnd: number): boolean {
    this.#isKey = asKey
    this.#stringStart = this.#position
    this.#position += 1
    return this.#continueString(sliceEnd)
  }

  /** Goes on in a string that may be longer than the slice; an escape is always taken whole. */
  #continueString(sliceEnd: number): boolean {
    const body = this.#body
    const { length } = body
    for (;;) {
      // A local, since a field costs more in the loop.
      let at = this.#position
      const walkEnd = Math.min(length, at + walkBytes)
      while (at < walkEnd) {
        const byte = body[at]
        at += byte === backslash ? 2 : 1
        if (byte === quote) return this.#endString(at)
      }
      this.#position = at
      if (at >= length) return this.#fail('a string that does not end')
      const windowEnd = Math.min(length, at + searchBytes)
      const found = body.subarray(at, windowEnd).indexOf(quote)
      const stop = found < 0 ? windowEnd : at + found
      let backslashes = 0
      while (stop - 1 - backslashes >= at && body[stop - 1 - backslashes] === backslash) backslashes += 1
      // An odd number of backslashes takes the byte at `stop` with it, be it the quote or the next window's first.
      this.#position = stop + (backslashes & 1)
      if (this.#position >= sliceEnd && this.#position < length) {
        this.#expected = insideString
        return false
      }
    }
  }

  #endString(end: number): boolean {
    this.#position = end
    return this.#isKey ? this.#endKey(end) : this.#endValue(end)
  }

  #endKey(end: number): boolean {
    this.#expected = colon
    if (this.#depth !== 1) return false
    if (end - this.#stringStart > keyBytesMax)
      return this.#refuse(`A member's name is longer than ${keyBytesMax} bytes.`)
    try {
      this.#currentKey = String(JSON.parse(this.#body.toString('utf8', this.#stringStart, end)))
    } catch {
      return this.#fail('a bad name')
    }
    return false
  }

  #endValue(end: number): boolean {
    this.#expected = this.#depth === 0 ? nothing : commaOrEnd
    if (this.#depth !== 1) return false
    if (this.byKey.has(this.#currentKey))
      return this.#refuse(`The member ${JSON.stringify(this.#currentKey)} stands twice.`)
    if (this.byKey.size === membersMax) return this.#refuse(`The body has more than ${membersMax} members.`)
    this.byKey.set(this.#currentKey, { key: this.#currentKey, start: this.#valueStart, end })
    return false
  }

  #fail(what: string): true {
    this.message = `The body is not valid JSON: ${what} at byte ${Math.min(this.#position, this.#body.length)}.`
    return true
  }

  #refuse(what: string): true {
    this.message = what
    return true
  }
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
