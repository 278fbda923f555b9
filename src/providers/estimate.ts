import { setImmediate } from 'node:timers/promises'
import type { JsonMember, JsonMembers } from '#lib/json-members.ts'

/**
 * What a request's input will about amount to, from its bytes alone. A tokeniser takes 7-30 ms for 100 kB of
 * prose and seconds for hostile text; this takes 0.1 ms, and the provider's own figure settles.
 *
 * `usual`: bytes of ASCII / 4, other bytes / 3, and a fixed amount per image or file in place of its base64.
 * `bound`: one unit per byte, base64 too, and the fixed amount besides: nothing that the body itself holds can
 * come to more. (What it only points to - a stored file, an earlier answer - no reading of the body can bound.)
 */
export type EstimateMode = 'usual' | 'bound'

/**
 * Units of one image or file. The most that an image costs at usual resolutions (1,600 by the rule "pixels / 750"
 * of one protocol, 765-1,105 by the tiles of the other); a page or two of a PDF.
 */
export const partUnits = 1600

/** Members that no model reads. */
const unread: ReadonlySet<string> = new Set(
  (
    'model user metadata stream stream_options store service_tier logit_bias previous_response_id conversation ' +
    'prompt_cache_key prompt_cache_options prompt_cache_retention safety_identifier include reasoning thinking ' +
    'modalities audio container encoding_format stop stop_sequences truncation context_management betas'
  ).split(' '),
)

/** Members that may hold text that was tokenised already: each number is one unit. */
const mayBeNumbers: ReadonlySet<string> = new Set(['input', 'prompt'])

/** Values of `type` that announce an image, a sound or a file. */
const partTypes: ReadonlySet<string> = new Set(
  'image_url input_image image input_audio input_file file document'.split(' '),
)
/** Names under which base64 stands, bare or as a data URL. */
const payloadKeys: ReadonlySet<string> = new Set(['url', 'image_url', 'data', 'file_data'])
/** Shorter values are not worth telling from text. */
const payloadBytesMin = 64

/** Bytes between two turns of the event loop: about half a millisecond. */
const sliceBytes = 128 * 1024

const [quote, backslash] = [0x22, 0x5c]

/** Estimates the input of a request in LLM units. Never rejects; the body must have passed `scanMembers`. */
export async function estimateInput(body: Buffer, members: JsonMembers, mode: EstimateMode): Promise<number> {
  const count: Count = { bytes: 0, ascii: 0, other: 0, numbers: 0, parts: 0, payloads: 0 }
  for (const member of members.byKey.values()) {
    const first = body[member.start]
    const isRead = first === quote || first === 0x5b || first === 0x7b
    if (isRead && !unread.has(member.key)) await countMember(body, member, count)
  }
  const counted = Math.max(count.parts, count.payloads) * partUnits + count.numbers
  return counted + (mode === 'bound' ? count.bytes : Math.ceil(count.ascii / 4 + count.other / 3))
}

interface Count {
  /** All bytes of text and payload, as they stand. */
  bytes: number
  /** Characters of ASCII, and bytes of others: without payload, escapes resolved. */
  ascii: number
  other: number
  numbers: number
  parts: number
  payloads: number
}

async function countMember(body: Buffer, member: JsonMember, count: Count): Promise<void> {
  const holdsNumbers = mayBeNumbers.has(member.key) && isNumbers(body, member)
  if (!holdsNumbers) count.bytes += member.end - member.start
  const walk = holdsNumbers ? createNumberWalk(body, member, count) : createTextWalk(body, member, count)
  while (!walk(sliceBytes)) await setImmediate()
}

/** Whether a list starts with a number, be it in a list of its own. */
function isNumbers(body: Buffer, { start, end }: JsonMember): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = body[at] ?? 0
    if (byte === 0x5b || byte <= 0x20) continue
    return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d
  }
  return false
}

/** Takes about so many bytes more; true at the end. */
type Walk = (bytes: number) => boolean

function createNumberWalk(body: Buffer, { start, end }: JsonMember, count: Count): Walk {
  let at = start
  let inNumber = false
  return (bytes) => {
    const sliceEnd = Math.min(end, at + bytes)
    for (; at < sliceEnd; at += 1) {
      const byte = body[at] ?? 0
      const separates = byte === 0x2c || byte === 0x5b || byte === 0x5d || byte <= 0x20
      // A list that only starts with a number must not hide text: whatever is no number is a unit a byte.
      if (!separates && (!inNumber || byte > 0x39)) count.numbers += 1
      inNumber = !separates
    }
    return at === end
  }
}

/** Counts a value's bytes as text, and recognises parts and their payload on the way. */
function createTextWalk(body: Buffer, { start, end }: JsonMember, count: Count): Walk {
  let at = start
  let stringStart = -1
  let payloadAt = -1
  let key = ''

  /** Counts up to the closing quote; false where the slice ends before. An escape is taken whole. */
  function walkString(sliceEnd: number): boolean {
    // Locals: variables that outlive the call cost twice as much in the loop.
    const from = at
    let next = at
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
      // Six bytes of `\u4e2d` stand for three of UTF-8, two of `\n` for one.
      const isCode = body[next] === 0x75
      if (isCode) unicode += 1
      saved += isCode ? 6 : 1
      next += isCode ? 5 : 1
    }
    at = next
    count.ascii += next - from - other - saved
    count.other += other + 3 * unicode
    return closed
  }

  /** Goes on in what may be base64; false where the slice ends before that is known. */
  function walkPayload(sliceEnd: number): boolean {
    let next = payloadAt
    while (next < sliceEnd && isBase64[body[next] ?? 0] === 1) next += 1
    payloadAt = next
    if (payloadAt >= sliceEnd) return false
    if (body[payloadAt] === quote && payloadAt - stringStart >= payloadBytesMin) {
      count.payloads += 1
      at = payloadAt
    }
    payloadAt = -1
    return true
  }

  function endString(): void {
    const from = stringStart
    stringStart = -1
    if (isBeforeColon(body, at)) {
      key = keyOf(body, from, at - 1)
      return
    }
    if (key === 'type' && partTypes.has(body.toString('latin1', from, at - 1))) count.parts += 1
    key = ''
  }

  return (bytes) => {
    const sliceEnd = Math.min(end, Math.max(at, payloadAt) + bytes)
    for (;;) {
      if (payloadAt >= 0 && !walkPayload(sliceEnd)) return false
      if (stringStart >= 0) {
        if (!walkString(sliceEnd)) return at >= end
        endString()
      }
      const from = at
      let next = at
      while (next < sliceEnd && body[next] !== quote) next += 1
      at = next
      count.ascii += at - from
      if (at >= sliceEnd) return at >= end
      at += 1
      count.ascii += 1
      stringStart = at
      if (payloadKeys.has(key)) payloadAt = payloadStart(body, at)
    }
  }
}

/** The name if it is one of those that matter; most are told apart by their length and first letter. */
function keyOf(body: Buffer, start: number, end: number): string {
  const [length, first] = [end - start, body[start]]
  const matters =
    (length === 3 && first === 0x75) ||
    (length === 4 && (first === 0x64 || first === 0x74)) ||
    (length === 9 && (first === 0x66 || first === 0x69))
  return matters ? body.toString('latin1', start, end) : ''
}

function isBeforeColon(body: Buffer, from: number): boolean {
  let at = from
  while (at < from + 64 && (body[at] ?? 0x3a) <= 0x20) at += 1
  return body[at] === 0x3a
}

/** Where base64 would start in a string: at once, or after the head of a data URL. */
function payloadStart(body: Buffer, at: number): number {
  if (body.toString('latin1', at, at + 5) !== 'data:') return at
  const head = /^data:[\w.+/;=-]*;base64,/.exec(body.toString('latin1', at, at + 160))
  return at + (head ? head[0].length : 0)
}

/** 0 ASCII, 1 other, 2 the quote, 3 the backslash. */
const kinds = new Uint8Array(256).fill(1, 0x80)
kinds[quote] = 2
kinds[backslash] = 3

const isBase64 = new Uint8Array(256)
// The backslash because some escape the slash.
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\\'))
  isBase64[byte] = 1
