import { setImmediate } from 'node:timers/promises'
import type { JsonMember, JsonMembers } from '#lib/json-members.ts'
import { blocksOf, toolMembers } from './input-blocks.ts'
import { TextWalk } from './input-walk.ts'
import type { InputMembers } from './provider.ts'
import type { Sealed } from './sealed.ts'

/**
 * The amount of each kind of content in a request's body, measured in one pass over its bytes. A tokeniser takes 7-30 ms
 * for 100 kB of prose, and seconds for hostile text; this takes 0.1 ms. The provider's own figure is charged in the end.
 */
export interface InputSize {
  /** All bytes of text and payload, whether or not the provider reads them. */
  bytes: number
  /** Plain text: characters of ASCII, and bytes of others; without payload, escapes resolved. */
  ascii: number
  other: number
  /** Numbers in text that was sent as tokens. */
  numbers: number
  /** The same two for the definitions of tools, and the number of tools. */
  toolAscii: number
  toolOther: number
  /** Defined by the client, by a schema of its own. */
  functionTools: number
  /** Known to the model by name, run by the client (a shell, an editor). */
  clientTools: number
  /** Run by the provider (a search, a code interpreter). */
  serverTools: number
  /** The number of parts by their `type`, and of base64 by its stated kind. */
  readonly parts: MediaCount
  readonly payloads: MediaCount
  /** Bytes of base64 of the kinds that are estimated by size. */
  documentBytes: number
  audioBytes: number
  /** Base64 of an unknown kind. */
  looseCount: number
  looseBytes: number
  /** Sealed reasoning. */
  readonly sealed: Sealed
  /** Whether the body holds all that the provider reads; false if some of it is only named, such as an earlier answer. */
  isWhole: boolean
}

export interface MediaCount {
  images: number
  documents: number
  audio: number
}

/** Members that may hold text that was tokenised already: each number is one unit. */
const mayBeNumbers: ReadonlySet<string> = new Set(['input', 'prompt'])

/** Bytes between two turns of the event loop: about half a millisecond. */
const sliceBytes = 128 * 1024

const [quote, openBrace, openBracket, letterN] = [0x22, 0x7b, 0x5b, 0x6e]

/**
 * Measures the input of a request: at once for a small body, and in slices for a large one. Never throws or rejects; the
 * body must have passed `scanMembers`.
 */
export function measureInput(
  body: Buffer,
  members: JsonMembers,
  model: string,
  inputMembers: InputMembers,
): InputSize | Promise<InputSize> {
  const size = createSize()
  if (body.length > sliceBytes) return measureInSlices(size, body, members, model, inputMembers)
  for (const member of members.byKey.values()) {
    if (!isMeasured(size, body, member, inputMembers)) continue
    const { ascii, other } = size
    openWalk(size, body, members, member, model, inputMembers).run(sliceBytes)
    if (toolMembers.has(member.key)) moveToTools(size, ascii, other)
  }
  return size
}

async function measureInSlices(
  size: InputSize,
  body: Buffer,
  members: JsonMembers,
  model: string,
  inputMembers: InputMembers,
): Promise<InputSize> {
  for (const member of members.byKey.values()) {
    if (!isMeasured(size, body, member, inputMembers)) continue
    const { ascii, other } = size
    const walk = openWalk(size, body, members, member, model, inputMembers)
    while (!walk.run(sliceBytes)) await setImmediate()
    if (toolMembers.has(member.key)) moveToTools(size, ascii, other)
  }
  return size
}

function createSize(): InputSize {
  return {
    bytes: 0,
    ascii: 0,
    other: 0,
    numbers: 0,
    toolAscii: 0,
    toolOther: 0,
    functionTools: 0,
    clientTools: 0,
    serverTools: 0,
    parts: { images: 0, documents: 0, audio: 0 },
    payloads: { images: 0, documents: 0, audio: 0 },
    documentBytes: 0,
    audioBytes: 0,
    looseCount: 0,
    looseBytes: 0,
    sealed: { bytes: 0, heads: 0 },
    isWhole: true,
  }
}

/** Whether the model reads a member's value; notes what its name alone says. */
function isMeasured(
  size: InputSize,
  body: Buffer,
  { key, start }: JsonMember,
  { unread, namesMore }: InputMembers,
): boolean {
  const first = body[start]
  if (namesMore.has(key)) size.isWhole &&= first === letterN
  if (first === openBrace) {
    if (key === 'prompt') size.isWhole = false
    else if (key === 'web_search_options') size.serverTools += 1
  } else if (first !== quote && first !== openBracket) return false
  return !unread.has(key)
}

function openWalk(
  size: InputSize,
  body: Buffer,
  members: JsonMembers,
  member: JsonMember,
  model: string,
  inputMembers: InputMembers,
): TextWalk | NumberWalk {
  if (mayBeNumbers.has(member.key) && isNumbers(body, member)) return new NumberWalk(body, member, size)
  size.bytes += member.end - member.start
  return new TextWalk(body, member, size, blocksOf(body, members, member, size, model, inputMembers))
}

function moveToTools(size: InputSize, ascii: number, other: number): void {
  size.toolAscii += size.ascii - ascii
  size.toolOther += size.other - other
  size.ascii = ascii
  size.other = other
}

/** Whether a list starts with a number, also one in a nested list. */
function isNumbers(body: Buffer, { start, end }: JsonMember): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = body[at] ?? 0
    if (byte === openBracket || byte <= 0x20) continue
    return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d
  }
  return false
}

/** Counts text that was tokenised already. */
class NumberWalk {
  readonly #body: Buffer
  readonly #size: InputSize
  readonly #end: number
  #at: number
  #isInNumber = false

  constructor(body: Buffer, { start, end }: JsonMember, size: InputSize) {
    this.#body = body
    this.#size = size
    this.#at = start
    this.#end = end
  }

  /** Reads about this many further bytes; true at the end. */
  run(bytes: number): boolean {
    const sliceEnd = Math.min(this.#end, this.#at + bytes)
    let isInNumber = this.#isInNumber
    let numbers = 0
    for (let at = this.#at; at < sliceEnd; at += 1) {
      const byte = this.#body[at] ?? 0
      const separates = byte === 0x2c || byte === openBracket || byte === 0x5d || byte <= 0x20
      // A list that only starts with a number must not hide text: each byte that is not part of a number counts as a
      // unit.
      if (!separates && (!isInNumber || byte > 0x39)) numbers += 1
      isInNumber = !separates
    }
    this.#size.numbers += numbers
    this.#isInNumber = isInNumber
    this.#at = sliceEnd
    return sliceEnd === this.#end
  }
}
