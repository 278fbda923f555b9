import type { JsonMember, JsonMembers } from '#lib/json-members.ts'
import { type Blocks, blocksOf } from './input-blocks.ts'
import { everywhere, inBlocks, isSealedName, keyOf, mayHoldPayload } from './input-names.ts'
import type { InputSize, MediaCount } from './input-size.ts'
import { payloadKind, payloadStart } from './payload.ts'

/** Values of `type` that announce an image, a sound or a file. */
const partTypes: ReadonlyMap<string, keyof MediaCount> = new Map([
  ...'image_url input_image image computer_screenshot'.split(' ').map((name) => [name, 'images'] as const),
  ...'input_audio audio_url'.split(' ').map((name) => [name, 'audio'] as const),
  ...'input_file file document video_url input_video video'
    .split(' ')
    .map((name) => [name, 'documents'] as const),
])

/** Shorter values count as text. */
const payloadBytesMin = 64

/**
 * The bytes of sealed content that hold no text, and the bytes for each unit of the rest. Measured on answers of two
 * providers.
 */
const [sealedHead, sealedBytesPerUnit] = [1000, 5.5]

const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d]

function isBeforeColon(body: Buffer, from: number): boolean {
  let at = from
  while (at < from + 64 && (body[at] ?? 0x3a) <= 0x20) at += 1
  return body[at] === 0x3a
}

/** 0 ASCII, 1 other, 2 the quote, 3 the backslash. */
const kinds = new Uint8Array(256).fill(1, 0x80)
kinds[quote] = 2
kinds[backslash] = 3

/** How a byte outside of strings changes the depth. */
const steps = new Int8Array(256)
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
  /** Which objects of the member are blocks, where they matter, and the names that matter then. */
  readonly #blocks: Blocks | undefined
  readonly #names: Uint8Array
  #at: number
  #depth = 0
  #stringStart = -1
  /** The start of the base64 that is being read, and how far it has been read. */
  #payloadFrom = -1
  #payloadAt = -1
  #isSealed = false
  #key = ''

  constructor(body: Buffer, members: JsonMembers, member: JsonMember, size: InputSize, model: string) {
    this.#body = body
    this.#size = size
    this.#at = member.start
    this.#end = member.end
    this.#isInput = member.key === 'input'
    this.#blocks = blocksOf(body, members, member, size, model)
    this.#names = this.#blocks ? inBlocks : everywhere
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
      if (this.#blocks) this.#walkBlocks(this.#blocks, sliceEnd)
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
    if (this.#key === '') return
    this.#isSealed = isSealedName(this.#key, this.#isInput)
    if (this.#isSealed) this.#payloadAt = this.#payloadFrom = this.#at
    else if (mayHoldPayload(this.#key))
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
    if (body[next] === quote && next - this.#stringStart >= payloadBytesMin) {
      this.#notePayload(next)
      this.#at = next
    }
    this.#payloadAt = -1
    return true
  }

  #notePayload(end: number): void {
    const bytes = end - this.#payloadFrom
    if (!this.#isSealed)
      notePayload(this.#size, payloadKind(this.#body, this.#stringStart, this.#payloadFrom), bytes)
    else if (this.#blocks && this.#depth >= this.#blocks.depth) this.#blocks.addSealed(unitsOfSealed(bytes))
    else this.#size.sealed += unitsOfSealed(bytes)
  }

  #endString(): void {
    const body = this.#body
    const from = this.#stringStart
    const end = this.#at - 1
    this.#stringStart = -1
    if (isBeforeColon(body, this.#at)) {
      this.#key = keyOf(body, from, end, this.#names)
      return
    }
    if (this.#key === 'type') {
      const kind = partTypes.get(body.toString('latin1', from, end))
      if (kind) this.#size.parts[kind] += 1
    }
    if (this.#depth === this.#blocks?.depth) this.#blocks.takeString(this.#key, body, from, end)
    this.#key = ''
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

  /** The same, and also handles each object at one depth as a block. */
  #walkBlocks(blocks: Blocks, sliceEnd: number): void {
    const body = this.#body
    let from = this.#at
    let next = from
    let level = this.#depth
    while (next < sliceEnd) {
      const byte = body[next] ?? 0
      if (byte === quote) break
      next += 1
      const step = steps[byte] ?? 0
      if (step === 0) continue
      const isBlock = level + (step > 0 ? 1 : 0) === blocks.depth
      level += step
      if (!isBlock) continue
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

/** LLM units of this many sealed bytes. */
export function unitsOfSealed(bytes: number): number {
  return Math.max(0, bytes - sealedHead) / sealedBytesPerUnit
}
