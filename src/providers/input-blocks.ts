import type { JsonMember, JsonMembers } from '#lib/json-members.ts'
import type { InputSize } from './input-size.ts'
import { isClaude, sealsReasoning } from './model-names.ts'
import type { InputMembers } from './provider.ts'
import { addSealed, type Sealed } from './sealed.ts'

/** Types of tools that the client defines; a tool without a type is such a tool as well. */
const functionTypes: ReadonlySet<string> = new Set(['', 'function', 'custom', 'namespace'])
/** Tools that the model knows by name, and that the client runs. */
const clientType = /^(bash|text_editor|computer|memory|local_shell|shell|apply_patch)/
/** Only selects tools of a server, which is counted where it is named. */
const toolsetType = 'mcp_toolset'

const reasoningBytesMax = 4096

/** The blocks of one member: counts each where it ends, and takes back what its text did not cost. */
export class Blocks {
  /** How deep a block's own members lie. */
  readonly depth: number
  readonly #kind: BlockKind
  readonly #memberKey: string
  readonly #size: InputSize
  #block = createBlock(-1, 0, 0)
  #compactedAt = -1
  /** Sealed reasoning since the user's last message. */
  readonly #turn: Sealed = { bytes: 0, heads: 0 }

  constructor(kind: BlockKind, memberKey: string, size: InputSize) {
    this.depth = kind.depth
    this.#kind = kind
    this.#memberKey = memberKey
    this.#size = size
  }

  /** @param pending bytes that are read and not counted yet */
  open(start: number, pending: number): void {
    const { ascii, other } = this.#size
    this.#block = createBlock(start, ascii + pending, other)
  }

  /** Takes a string that is a member of the block. */
  takeString(key: string, body: Buffer, from: number, end: number): void {
    if (key === 'type') this.#block.type = body.toString('latin1', from, end)
    else if (key === 'role') this.#block.isUser = body.toString('latin1', from, end) === 'user'
    else if (key === 'content') this.#block.hasContent ||= end > from
  }

  addSealed(sealed: Sealed): void {
    addSealed(this.#block.sealed, sealed)
  }

  /** Ends a block; returns the offset to continue at, if it has to be read again. */
  close(): number | undefined {
    const { type } = this.#block
    if (this.#kind.kind === 'tools') countTool(this.#memberKey, type, this.#size)
    else if (this.#kind.kind === 'parts') return this.#closePart(this.#kind.before)
    else this.#closeItem(this.#kind.keepsReasoning)
    return undefined
  }

  /** The summary may precede its type: all counts from before the block are dropped, and the block is read again. */
  #closePart(before: Counted): number | undefined {
    const { start, type, hasContent, sealed } = this.#block
    addSealed(this.#size.sealed, sealed)
    if (type !== 'compaction' || !hasContent || start === this.#compactedAt) return undefined
    restore(this.#size, before)
    this.#compactedAt = start
    return start
  }

  #closeItem(keepsReasoning: boolean): void {
    const { type, sealed, ascii, other, isUser } = this.#block
    if (type === 'reasoning') {
      addSealed(this.#turn, sealed)
      // The provider reads only the sealed content. A summary is shorter than that, so longer text is something else.
      const text = this.#size.ascii - ascii + this.#size.other - other
      if (text <= sealed.bytes) {
        this.#size.ascii = ascii
        this.#size.other = other
      }
    } else addSealed(this.#size.sealed, sealed)
    if (isUser && !keepsReasoning) this.#endTurn()
  }

  /** The member has ended. */
  end(): void {
    addSealed(this.#size.sealed, this.#turn)
    this.#endTurn()
  }

  #endTurn(): void {
    this.#turn.bytes = this.#turn.heads = 0
  }
}

/** Which objects of a member are blocks: a tool, a part of a message, an item. */
type BlockKind = { readonly depth: number } & (
  | { readonly kind: 'tools' }
  | { readonly kind: 'parts'; readonly before: Counted }
  | { readonly kind: 'items'; readonly keepsReasoning: boolean }
)

/** Members whose text defines tools. */
export const toolMembers: ReadonlySet<string> = new Set(['tools', 'functions', 'plugins', 'mcp_servers'])

/** Undefined if no block matters; a search finds that out at a hundredth of the walk's cost. */
export function blocksOf(
  body: Buffer,
  members: JsonMembers,
  member: JsonMember,
  size: InputSize,
  model: string,
  inputMembers: InputMembers,
): Blocks | undefined {
  const kind = kindOf(body, members, member, size, model, inputMembers)
  return kind && new Blocks(kind, member.key, size)
}

function kindOf(
  body: Buffer,
  members: JsonMembers,
  { key, start, end }: JsonMember,
  size: InputSize,
  model: string,
  { readsCompactions }: InputMembers,
): BlockKind | undefined {
  const has = (words: string) => {
    const found = body.indexOf(words, start, 'latin1')
    return found >= 0 && found < end
  }
  if (toolMembers.has(key)) return { kind: 'tools', depth: 2 }
  if (key === 'messages' && readsCompactions && isClaude(model) && has('"compaction"'))
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
  readonly sealed: Sealed
}

function createBlock(start: number, ascii: number, other: number): Block {
  return { start, ascii, other, type: '', isUser: false, hasContent: false, sealed: { bytes: 0, heads: 0 } }
}

function countTool(memberKey: string, type: string, size: InputSize): void {
  if (memberKey === 'functions') size.functionTools += 1
  else if (memberKey !== 'tools') size.serverTools += 1
  else if (functionTypes.has(type)) size.functionTools += 1
  else if (clientType.test(type)) size.clientTools += 1
  else if (type !== toolsetType) size.serverTools += 1
}

type Counted = ReturnType<typeof countedOf>

function countedOf(size: InputSize) {
  const { parts, payloads, sealed, ...figures } = size
  return { figures, parts: { ...parts }, payloads: { ...payloads }, sealed: { ...sealed } }
}

function restore(size: InputSize, { figures, parts, payloads, sealed }: Counted): void {
  Object.assign(size, figures)
  Object.assign(size.parts, parts)
  Object.assign(size.payloads, payloads)
  Object.assign(size.sealed, sealed)
}
