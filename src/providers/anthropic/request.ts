import type { JsonMembers } from '#lib/json-members.ts'
import { readAdvisor } from '#providers/advisors.ts'
import { readFallbacks } from '#providers/fallbacks.ts'
import { leastCapOf } from '#providers/least-cap.ts'
import { createMemberReader } from '#providers/member-reader.ts'
import {
  type BodyEdit,
  noOutput,
  type RequestChanges,
  type RequestReading,
} from '#providers/model-request.ts'
import { type BoundRule, readBound } from '#providers/output-bounds.ts'
import { concludeReading, outputEdits } from '#providers/request-reading.ts'

/** Reads the requests of each endpoint, and makes the edits that bound their output. */

/** The provider requires the member and reports it if it is missing. It allows 0, which only fills the cache. */
const messageBound: BoundRule = { official: ['max_tokens'], elsewhere: 'max_tokens', takesZero: true }

export function readMessage(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const output = readBound(read, body, members, messageBound)
  readFallbacks(read, body, members)
  const leastCap = leastCapOf(body, members)
  const advisor = readAdvisor(read, body, members)
  return concludeReading(read, body, members, {
    isStream,
    output,
    choices: 1,
    leastCap,
    hasOutput: true,
    lacksUsage: false,
    ...(advisor && { advisor }),
  })
}

export function readCount(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  return concludeReading(read, body, members, noOutput)
}

export function editMessage(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  return outputEdits(body, members, changes, messageBound)
}
