import type { JsonMember } from '#lib/json-members.ts'
import { stringOf } from './figures.ts'
import type { Blocks } from './input-blocks.ts'
import { isCallSignature, isSealedName, keyOf, mayHoldPayload } from './input-names.ts'
import { holdsMedia, holdsSealed, mayHoldMedia, type Places, placesOf } from './input-places.ts'
import type { InputSize, MediaCount } from './input-size.ts'
import { payloadKind, payloadStart } from './payload.ts'
import { addSealed, type Sealed, sealedOf } from './sealed.ts'

/** Values of `type` that announce an image, a sound or a file. */
const partTypes: ReadonlyMap<string, keyof MediaCount> = new Map([
  ...'image_url input_image image computer_screenshot'.split(' ').map((name) => [name, 'images'] as const),
  ...'input_audio audio_url'.split(' ').map((name) => [name, 'audio'] as const),
  ...'input_file file document video_url input_video video'
    .split(' ')
    .map((name) => [name, 'documents'] as const),
])

/** A longer string with escapes is no name that matters. */
const escapedBytesMax = 160

/** Shorter values count as text. */
const payloadBytesMin = 64

const [quote, comma, backslash, colon, openBrace, closeBrace] = [0x22, 0x2c, 0x5c, 0x3a, 0x7b, 0x7d]

function isBeforeColon(body: Buffer, from: number): boolean {
  let at = from
  while (at < from + 64 && (body[at] ?? 0x3a) <= 0x20) at += 1
  return body[at] === 0x3a
}

/** 0 ASCII, 1 other, 2 the quote, 3 the backslash. */
const kinds = new Uint8Array(256).fill(1, 0x80)
kinds[quote] = 2
kinds[backslash] = 3

/** How a byte outside of strings changes the depth; 2 for the colon before a member's value. */
const steps = new Int8Array(256)
steps[colon] = 2
for (const byte of Buffer.from('{[')) steps[byte] = 1
for (const byte of Buffer.from('}]')) steps[byte] = -1

const isBase64 = new Uint8Array(256)
// The backslash is included since some encoders escape the slash.
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\\'))
  isBase64[byte] = 1

/**
 * Counts a member's bytes as text. On the way it recognises content that does not cost what its text does: images,
 * documents and sound in base64, tools, sealed reasoning, and history that the provider has replaced by a summary.
 */
export class TextWalk {
  readonly #body: Buffer
  readonly #size: InputSize
  readonly #end: number
  readonly #isInput: boolean
  /** Which objects of the member are blocks, where they matter. */
  readonly #blocks: Blocks | undefined
  /** Where parts may stand in the member; undefined if all in it is text. */
  readonly #places: Places | undefined
  #at: number
  #depth = 0
  #stringStart = -1
  /** The start of the base64 that is being read, and how far it has been read. */
  #payloadFrom = -1
  #payloadAt = -1
  #isSealed = false
  /** Whether the string that is being read has an escape. */
  #hasEscape = false
  /** The last member's name, if it matters, and whether its value comes next. */
  #key = ''
  #isValue = false

  constructor(body: Buffer, member: JsonMember, size: InputSize, blocks: Blocks | undefined) {
    this.#body = body
    this.#size = size
    this.#at = member.start
    this.#end = member.end
    this.#isInput = member.key === 'input'
    this.#blocks = blocks
    this.#places = placesOf(member.key)
  }

  /** Reads about this many further bytes; true at the end. */
  run(bytes: number): boolean {
    const sliceEnd = Math.min(this.#end, Math.max(this.#at, this.#payloadAt) + bytes)
    for (;;) {
      if (this.#payloadAt >= 0 && !this.#walkPayload(sliceEnd)) return false
      if (this.#stringStart >= 0) {
        if (!this.#walkString(sliceEnd)) return this.#isOver()
        this.#endString()
      }
      if (this.#blocks || this.#places) this.#walkObjects(sliceEnd)
      else this.#walkStructure(sliceEnd)
      if (this.#at >= sliceEnd) return this.#isOver()
      this.#startString()
    }
  }

  #isOver(): boolean {
    if (this.#at < this.#end) return false
    this.#blocks?.end()
    return true
  }

  #startString(): void {
    this.#at += 1
    this.#size.ascii += 1
    this.#stringStart = this.#at
    this.#hasEscape = false
    if (this.#key === '') return
    const frame = this.#places?.at(this.#depth)
    if (!frame) return
    const isPart = mayHoldMedia(frame)
    this.#isSealed = isCallSignature(this.#key) || (isPart && isSealedName(this.#key, this.#isInput))
    if (this.#isSealed) this.#payloadAt = this.#payloadFrom = this.#at
    else if (isPart && mayHoldPayload(this.#key))
      this.#payloadAt = this.#payloadFrom = payloadStart(this.#body, this.#at)
  }

  /** Counts up to the closing quote; false if the slice ends before. An escape is read whole. */
  #walkString(sliceEnd: number): boolean {
    // Locals, since a field costs more in the loop.
    const body = this.#body
    const from = this.#at
    let next = from
    let other = 0
    let saved = 0
    let unicode = 0
    let closed = false
    while (next < sliceEnd && !closed) {
      let kind = kinds[body[next] ?? 0] ?? 0
      while (next < sliceEnd && kind <= 1) {
        other += kind
        next += 1
        kind = kinds[body[next] ?? 0] ?? 0
      }
      if (next >= sliceEnd) break
      next += 1
      closed = kind === 2
      if (closed) break
      // The six bytes of `\u4e2d` are three in UTF-8, the two of `\n` are one.
      const isCode = body[next] === 0x75
      if (isCode) unicode += 1
      saved += isCode ? 6 : 1
      next += isCode ? 5 : 1
    }
    this.#at = next
    if (saved > 0) this.#hasEscape = true
    this.#size.ascii += next - from - other - saved
    this.#size.other += other + 3 * unicode
    return closed
  }

  /** Continues in what may be base64; false if the slice ends before that is known. */
  #walkPayload(sliceEnd: number): boolean {
    const body = this.#body
    let next = this.#payloadAt
    while (next < sliceEnd && isBase64[body[next] ?? 0] === 1) next += 1
    this.#payloadAt = next
    if (next >= sliceEnd) return false
    if (body[next] === quote && next - this.#stringStart >= payloadBytesMin && this.#notePayload(next))
      this.#at = next
    this.#payloadAt = -1
    return true
  }

  /** Returns whether the string counts as something else than text, unless its object turns out to be text. */
  #notePayload(end: number): boolean {
    const frame = this.#places?.at(this.#depth)
    if (!frame) return false
    const bytes = end - this.#payloadFrom
    if (this.#isSealed && isCallSignature(this.#key)) {
      this.#addSealed(this.#depth, sealedOf(bytes))
      return true
    }
    if (this.#isSealed) {
      frame.sealed += bytes
      frame.sealedHeads += sealedOf(bytes).heads
      return true
    }
    const kind = payloadKind(this.#body, this.#stringStart, this.#payloadFrom)
    if (!kind) return false
    frame.media += bytes
    notePayload(this.#size, kind, bytes)
    return true
  }

  #endString(): void {
    const body = this.#body
    const from = this.#stringStart
    const end = this.#at - 1
    this.#stringStart = -1
    const frame = this.#places?.at(this.#depth)
    const isInBlock = this.#depth === this.#blocks?.depth
    if (isBeforeColon(body, this.#at)) {
      if (!frame && !isInBlock) this.#key = ''
      else this.#key = this.#hasEscape ? this.#unescaped(from, end) : keyOf(body, from, end)
      return
    }
    if (frame && this.#key === 'type' && mayHoldMedia(frame)) {
      frame.type = this.#hasEscape ? this.#unescaped(from, end) : body.toString('latin1', from, end)
      const kind = partTypes.get(frame.type)
      if (kind) this.#size.parts[kind] += 1
    }
    if (isInBlock) this.#blocks?.takeString(this.#key, body, from, end)
    this.#key = ''
    this.#isValue = false
  }

  /** A short string with escapes: a name may be written so. */
  #unescaped(from: number, end: number): string {
    return end - from > escapedBytesMax ? '' : (stringOf(this.#body.subarray(from - 1, end + 1)) ?? '')
  }

  /** Ends an object: what it seemed to hold is text if its type does not say so. */
  #endObject(depth: number): void {
    const frame = this.#places?.close(depth)
    if (!frame) return
    if (frame.media > 0 && !holdsMedia(frame)) this.#size.ascii += frame.media
    if (frame.sealed === 0) return
    if (!holdsSealed(frame)) this.#size.ascii += frame.sealed
    else this.#addSealed(depth, { bytes: frame.sealed, heads: frame.sealedHeads })
  }

  #addSealed(depth: number, sealed: Sealed): void {
    if (this.#blocks && depth >= this.#blocks.depth) this.#blocks.addSealed(sealed)
    else addSealed(this.#size.sealed, sealed)
  }

  /** Continues to the next string. */
  #walkStructure(sliceEnd: number): void {
    const body = this.#body
    const from = this.#at
    let next = from
    while (next < sliceEnd && body[next] !== quote) next += 1
    this.#at = next
    this.#size.ascii += next - from
  }

  /** The same, and also handles the objects on the way. */
  #walkObjects(sliceEnd: number): void {
    const body = this.#body
    let from = this.#at
    // Mostly one colon or comma stands between two strings.
    const first = body[from] ?? 0
    if (body[from + 1] === quote && from + 1 < sliceEnd && (first === colon || first === comma)) {
      if (first === colon) this.#isValue = true
      this.#at = from + 1
      this.#size.ascii += 1
      return
    }
    const blocks = this.#blocks
    const places = this.#places
    let next = from
    let level = this.#depth
    while (next < sliceEnd) {
      const byte = body[next] ?? 0
      if (byte === quote) break
      next += 1
      const step = steps[byte] ?? 0
      if (step === 0) continue
      if (step === 2) {
        this.#isValue = true
        continue
      }
      const depth = level + (step > 0 ? 1 : 0)
      level += step
      if (step > 0) places?.open(depth, this.#isValue ? this.#key : undefined, byte === openBrace)
      else this.#endObject(depth)
      this.#isValue = false
      this.#key = ''
      if (depth !== blocks?.depth) continue
      if (byte === openBrace) blocks.open(next - 1, next - from)
      else if (byte === closeBrace) {
        this.#size.ascii += next - from
        next = blocks.close() ?? next
        from = next
      }
    }
    this.#at = next
    this.#depth = level
    this.#size.ascii += next - from
  }
}

function notePayload(size: InputSize, kind: keyof MediaCount | 'loose', bytes: number): void {
  if (kind === 'loose') {
    size.looseCount += 1
    size.looseBytes += bytes
    return
  }
  size.payloads[kind] += 1
  if (kind === 'documents') size.documentBytes += bytes
  else if (kind === 'audio') size.audioBytes += bytes
}
