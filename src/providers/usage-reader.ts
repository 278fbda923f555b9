import type { Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import { findLastMember } from '#lib/json-members.ts'
import { type JsonRecord, parseRecord } from './figures.ts'
import type { AnswerModels } from './provider.ts'

/** Reads the usage that one answer states as it passes, and sums it up. */
export interface UsageReader {
  /** Takes a usage object. Figures never fall: providers state cumulative usage. */
  readonly take: (usage: JsonRecord) => void
  /** Takes the usage of the provider's own tools. */
  readonly takeTools: (tools: JsonRecord) => void
  readonly takeTier: (tier: string) => void
  /** Takes the name of the answering model, from a place of usage. */
  readonly takeModel: (model: string) => void
  /** Starts another part of the answer, whose figures are added to those so far. */
  readonly startPart: () => void
  /** Undefined before the first figure. */
  readonly usage: () => Usage | undefined
  readonly extras: () => UsageExtras | undefined
  readonly models: () => AnswerModels
}

/** The names of a whole answer's members that state usage. */
export interface UsageMembers {
  /** Absent: `usage`. */
  readonly usage?: string
  readonly tools?: string
  readonly tier?: string
}

/** Reads the usage of a whole answer from its top level; the rest of the body is not parsed. */
export function readBodyUsage(body: Buffer, reader: UsageReader, members: UsageMembers = {}): void {
  const usage = recordAt(body, members.usage ?? 'usage')
  if (usage) reader.take(usage)
  const tools = members.tools === undefined ? undefined : recordAt(body, members.tools)
  if (tools) reader.takeTools(tools)
  const tier = members.tier === undefined ? undefined : findLastMember(body, members.tier)
  // A JSON string without escapes: no valid value needs any.
  if (tier && body[tier.start] === 0x22)
    reader.takeTier(body.toString('latin1', tier.start + 1, tier.end - 1))
}

function recordAt(body: Buffer, key: string): JsonRecord | undefined {
  const member = findLastMember(body, key)
  return member && parseRecord(body.subarray(member.start, member.end))
}
