import type { Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import { findLastMember } from '#lib/json-members.ts'
import { type JsonRecord, parseRecord } from './figures.ts'
import type { AnswerModels } from './provider.ts'

/** Turns what one answer says of its use, as it comes by, into one figure. */
export interface UsageReader {
  /** A usage object. What was stated so far never falls: providers state what has come together up to here. */
  readonly take: (usage: JsonRecord) => void
  /** What the provider's own tools used beside it. */
  readonly takeTools: (tools: JsonRecord) => void
  readonly takeTier: (tier: string) => void
  /** The model that answers, as it is stated where usage may stand. */
  readonly takeModel: (model: string) => void
  /** The figures from here on are of another part of the answer, and are added to those so far. */
  readonly startPart: () => void
  /** Undefined until one of them held a figure. */
  readonly usage: () => Usage | undefined
  readonly extras: () => UsageExtras | undefined
  readonly models: () => AnswerModels
}

/** Members of a whole answer that say something of its use, by their names. */
export interface UsageMembers {
  readonly tools?: string
  readonly tier?: string
}

/** Takes the usage of a whole answer from its top level; what stands before it is not parsed. */
export function readBodyUsage(body: Buffer, reader: UsageReader, members: UsageMembers = {}): void {
  const usage = recordAt(body, 'usage')
  if (usage) reader.take(usage)
  const tools = members.tools === undefined ? undefined : recordAt(body, members.tools)
  if (tools) reader.takeTools(tools)
  const tier = members.tier === undefined ? undefined : findLastMember(body, members.tier)
  // A word of JSON: what it would have to escape is none.
  if (tier && body[tier.start] === 0x22)
    reader.takeTier(body.toString('latin1', tier.start + 1, tier.end - 1))
}

function recordAt(body: Buffer, key: string): JsonRecord | undefined {
  const member = findLastMember(body, key)
  return member && parseRecord(body.subarray(member.start, member.end))
}
