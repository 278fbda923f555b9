import type { JsonMember, JsonMembers } from '#lib/json-members.ts'
import type { InputSize, MediaCount, Walk } from './input-size.ts'
import { isClaude, sealsReasoning } from './model-names.ts'
import { payloadKind, payloadStart } from './payload.ts'

/** Values of `type` that announce an image, a sound or a file. */
const partTypes: ReadonlyMap<string, keyof MediaCount> = new Map([
  ...'image_url input_image image computer_screenshot'.split(' ').map((name) => [name, 'images'] as const),
  ...'input_audio audio_url'.split(' ').map((name) => [name, 'audio'] as const),
  ...'input_file file document video_url input_video video'
    .split(' ')
    .map((name) => [name, 'documents'] as const),
])

/** Members that hold base64, bare or as a data URL. */
const payloadKeys: ReadonlySet<string> = new Set(['url', 'image_url', 'data', 'file_data'])
/** Members that hold content which the provider has sealed. */
const sealedKeys: ReadonlySet<string> = new Set(['signature', 'thought_signature', 'thoughtSignature'])
/**
 * In `input` this is reasoning. Elsewhere it is the result of a search, which is counted as text, since it is about as
 * long.
 */
const sealedInInput = 'encrypted_content'
/** Shorter values count as text. */
const payloadBytesMin = 64

/**
 * The bytes of sealed content that hold no text, and the bytes for each unit of the rest. Measured on answers of two
 * providers.
 */
const [sealedHead, sealedBytesPerUnit] = [1000, 5.5]

/** Types of tools that the client defines; a tool without a type is such a tool as well. */
const functionTypes: ReadonlySet<string> = new Set(['', 'function', 'custom', 'namespace'])
/** Tools that the model knows by name, and that the client runs. */
const clientType = /^(bash|text_editor|computer|memory|local_shell|shell|apply_patch)/
/** Only selects tools of a server, which is counted where it is named. */
const toolsetType = 'mcp_toolset'

const reasoningBytesMax = 4096

const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d]

/**
 * Counts a member's bytes as text. On the way it recognises content that does not cost what its text does: images,
 * documents and sound in base64, tools, sealed reasoning, and history that the provider has replaced by a summary.
 */
export function openTextWalk(
  body: Buffer,
  members: JsonMembers,
  member: JsonMember,
  size: InputSize,
  model: string,
): Walk {
  const { end, key: memberKey } = member
  const blocks = blocksOf(body, members, member, size, model)
  const blockDepth = blocks?.depth ?? -1
  const names = blocks ? inBlocks : everywhere
  const isInput = memberKey === 'input'
  let at = member.start
  let depth = 0
  let stringStart = -1
  /** The start of the base64 that is being read, and how far it has been read. */
  let payloadFrom = -1
  let payloadAt = -1
  let isSealed = false
  let key = ''
  let block = noBlock
  let compactedAt = -1
  /** Units of sealed reasoning since the user's last message. */
  let turnSealed = 0

  /** Counts up to the closing quote; false if the slice ends before. An escape is read whole. */
  function walkString(sliceEnd: number): boolean {
    // Locals, since variables that outlive the call cost twice as much in the loop.
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
      // The six bytes of `\u4e2d` are three in UTF-8, the two of `\n` are one.
      const isCode = body[next] === 0x75
      if (isCode) unicode += 1
      saved += isCode ? 6 : 1
      next += isCode ? 5 : 1
    }
    at = next
    size.ascii += next - from - other - saved
    size.other += other + 3 * unicode
    return closed
  }

  /** Continues in what may be base64; false if the slice ends before that is known. */
  function walkPayload(sliceEnd: number): boolean {
    let next = payloadAt
    while (next < sliceEnd && isBase64[body[next] ?? 0] === 1) next += 1
    payloadAt = next
    if (payloadAt >= sliceEnd) return false
    if (body[payloadAt] === quote && payloadAt - stringStart >= payloadBytesMin) {
      const units = isSealed ? unitsOfSealed(payloadAt - payloadFrom) : 0
      if (isSealed && blocks && depth >= blockDepth) block.sealed += units
      else if (isSealed) size.sealed += units
      else notePayload(size, payloadKind(body, stringStart, payloadFrom), payloadAt - payloadFrom)
      at = payloadAt
    }
    payloadAt = -1
    return true
  }

  function endString(): void {
    const from = stringStart
    stringStart = -1
    if (isBeforeColon(body, at)) {
      key = keyOf(body, from, at - 1, names)
      return
    }
    if (key === 'type') endType(body.toString('latin1', from, at - 1))
    else if (blocks && depth === blockDepth) {
      if (key === 'role') block.isUser = body.toString('latin1', from, at - 1) === 'user'
      else if (key === 'content') block.hasContent ||= at - 1 > from
    }
    key = ''
  }

  function endType(type: string): void {
    const kind = partTypes.get(type)
    if (kind) size.parts[kind] += 1
    if (blocks && depth === blockDepth) block.type = type
  }

  /** Returns the offset to continue at, if the block has to be read again. */
  function endBlock(): number | undefined {
    const { start, type, sealed } = block
    switch (blocks?.kind) {
      case undefined:
        break
      case 'tools':
        countTool(memberKey, type, size)
        break
      case 'parts':
        size.sealed += sealed
        if (type !== 'compaction' || !block.hasContent || start === compactedAt) break
        // The summary may precede its type: all counts from before the block are dropped, and the block is read again.
        restore(size, blocks.before)
        compactedAt = start
        return start
      case 'items':
        if (type === 'reasoning') {
          turnSealed += sealed
          size.ascii = block.ascii
          size.other = block.other
        } else size.sealed += sealed
        if (block.isUser && !blocks.keepsReasoning) turnSealed = 0
    }
    return undefined
  }

  /** Continues to the next string. */
  function walkStructure(sliceEnd: number): void {
    const from = at
    let next = at
    while (next < sliceEnd && body[next] !== quote) next += 1
    at = next
    size.ascii += next - from
  }

  /** The same, and also handles each object at one depth as a block. */
  function walkBlocks(sliceEnd: number): void {
    let from = at
    let next = at
    let level = depth
    while (next < sliceEnd) {
      const byte = body[next] ?? 0
      if (byte === quote) break
      next += 1
      const step = steps[byte] ?? 0
      if (step === 0) continue
      const isBlock = level + (step > 0 ? 1 : 0) === blockDepth
      level += step
      if (!isBlock) continue
      if (byte === openBrace) block = openedBlock(next - 1, size, next - from)
      else if (byte === closeBrace) {
        size.ascii += next - from
        next = endBlock() ?? next
        from = next
      }
    }
    at = next
    depth = level
    size.ascii += next - from
  }

  function endMember(): boolean {
    size.sealed += turnSealed
    turnSealed = 0
    return true
  }

  return (bytes) => {
    const sliceEnd = Math.min(end, Math.max(at, payloadAt) + bytes)
    for (;;) {
      if (payloadAt >= 0 && !walkPayload(sliceEnd)) return false
      if (stringStart >= 0) {
        if (!walkString(sliceEnd)) return at >= end && endMember()
        endString()
      }
      if (blocks) walkBlocks(sliceEnd)
      else walkStructure(sliceEnd)
      if (at >= sliceEnd) return at >= end && endMember()
      at += 1
      size.ascii += 1
      stringStart = at
      if (key === '') continue
      isSealed = sealedKeys.has(key) || (isInput && key === sealedInInput)
      if (isSealed) payloadAt = payloadFrom = at
      else if (payloadKeys.has(key)) payloadAt = payloadFrom = payloadStart(body, at)
    }
  }
}

/** Which objects of a member are blocks: a tool, a part of a message, an item. */
type Blocks = { readonly depth: number } & (
  | { readonly kind: 'tools' }
  | { readonly kind: 'parts'; readonly before: Counted }
  | { readonly kind: 'items'; readonly keepsReasoning: boolean }
)

/** Members whose text defines tools. */
export const toolMembers: ReadonlySet<string> = new Set(['tools', 'functions', 'plugins', 'mcp_servers'])

/** Undefined if no block matters; a search finds that out at a hundredth of the walk's cost. */
function blocksOf(
  body: Buffer,
  members: JsonMembers,
  { key, start, end }: JsonMember,
  size: InputSize,
  model: string,
): Blocks | undefined {
  const has = (words: string) => {
    const found = body.indexOf(words, start, 'latin1')
    return found >= 0 && found < end
  }
  if (toolMembers.has(key)) return { kind: 'tools', depth: 2 }
  if (key === 'messages' && isClaude(model) && has('"compaction"'))
    return { kind: 'parts', depth: 4, before: countedOf(size) }
  if (key === 'input' && sealsReasoning(model) && has('"reasoning"'))
    return { kind: 'items', depth: 2, keepsReasoning: keepsReasoning(body, members) }
  return undefined
}

/** Whether the model reads the reasoning of all earlier answers again, not only that since the user's last message. */
function keepsReasoning(body: Buffer, { byKey }: JsonMembers): boolean {
  const member = byKey.get('reasoning')
  if (!member || member.end - member.start > reasoningBytesMax) return false
  return body.toString('latin1', member.start, member.end).includes('"all_turns"')
}

/** One block: what is known of it so far, and what was counted before it. */
interface Block {
  readonly start: number
  readonly ascii: number
  readonly other: number
  type: string
  isUser: boolean
  hasContent: boolean
  sealed: number
}

const noBlock: Block = {
  start: -1,
  ascii: 0,
  other: 0,
  type: '',
  isUser: false,
  hasContent: false,
  sealed: 0,
}

function openedBlock(start: number, { ascii, other }: InputSize, pending: number): Block {
  return { start, ascii: ascii + pending, other, type: '', isUser: false, hasContent: false, sealed: 0 }
}

function countTool(memberKey: string, type: string, size: InputSize): void {
  if (memberKey === 'functions') size.functionTools += 1
  else if (memberKey !== 'tools') size.serverTools += 1
  else if (functionTypes.has(type)) size.functionTools += 1
  else if (clientType.test(type)) size.clientTools += 1
  else if (type !== toolsetType) size.serverTools += 1
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

type Counted = ReturnType<typeof countedOf>

function countedOf(size: InputSize) {
  const { parts, payloads, ...figures } = size
  return { figures, parts: { ...parts }, payloads: { ...payloads } }
}

function restore(size: InputSize, { figures, parts, payloads }: Counted): void {
  Object.assign(size, figures)
  Object.assign(size.parts, parts)
  Object.assign(size.payloads, payloads)
}

/** The name, if it is one of those that matter; most others are excluded by length and first letter. */
function keyOf(body: Buffer, start: number, end: number, names: Uint8Array): string {
  const length = end - start
  const mayMatter = length <= nameBytesMax && names[length * 256 + (body[start] ?? 0)] === 1
  return mayMatter ? body.toString('latin1', start, end) : ''
}

const namesEverywhere = ['type', sealedInInput, ...payloadKeys, ...sealedKeys]
const namesInBlocks = [...namesEverywhere, 'role', 'content']
const nameBytesMax = Math.max(...namesInBlocks.map(({ length }) => length))

function tableOf(names: readonly string[]): Uint8Array {
  const table = new Uint8Array((nameBytesMax + 1) * 256)
  for (const name of names) table[name.length * 256 + name.charCodeAt(0)] = 1
  return table
}

const everywhere = tableOf(namesEverywhere)
const inBlocks = tableOf(namesInBlocks)

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
