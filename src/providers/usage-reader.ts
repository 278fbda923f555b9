import type { Usage } from '#core/usage.ts'
import { findLastMember } from '#lib/json-members.ts'
import { type JsonRecord, parseRecord } from './figures.ts'

/** Turns a protocol's usage objects, as they come by in one answer, into one figure. */
export interface UsageReader {
  readonly take: (usage: JsonRecord) => void
  /** Undefined until one of them held a figure. */
  readonly usage: () => Usage | undefined
}

/** Usage of a whole answer, from its top-level `usage`; what stands before it is not parsed. */
export function readBodyUsage(body: Buffer, reader: UsageReader): Usage | undefined {
  const member = findLastMember(body, 'usage')
  const record = member && parseRecord(body.subarray(member.start, member.end))
  if (record) reader.take(record)
  return reader.usage()
}
