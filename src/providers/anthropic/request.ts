import type { JsonMembers } from '#lib/json-members.ts'
import { advisorEdits, readAdvisor } from '#providers/advisors.ts'
import { readFallbacks } from '#providers/fallbacks.ts'
import { leastCapOf } from '#providers/least-cap.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import { readModelsElsewhere } from '#providers/models-elsewhere.ts'
import { type BoundRule, boundEdits, readBound } from '#providers/output-bounds.ts'
import {
  type BodyEdit,
  type ModelRequest,
  noOutput,
  type RequestChanges,
  type RequestReading,
} from '#providers/provider.ts'

/** What each endpoint's request says about itself, and what may be written into it. */

/** The provider requires it, and says so itself; it allows 0 (which only fills the cache). */
const messageBound: BoundRule = { official: ['max_tokens'], elsewhere: 'max_tokens', takesZero: true }

export function readMessage(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const output = readBound(read, body, members, messageBound)
  readFallbacks(read, body, members)
  const leastCap = leastCapOf(body, members)
  const advisor = readAdvisor(read, body, members)
  return readingOf(read, body, members, {
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
  return readingOf(read, body, members, noOutput)
}

export function editMessage(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  return [
    ...boundEdits(body, members, changes, messageBound),
    ...advisorEdits(body, members, changes.advisorMost),
  ]
}

function readingOf(
  read: MemberReader,
  body: Buffer,
  members: JsonMembers,
  rest: Omit<ModelRequest, 'model'>,
): RequestReading {
  const model = read.model()
  const elsewhere = readModelsElsewhere(read, body, members, model)
  const problem = read.problem()
  return problem ? { kind: 'refused', problem } : { kind: 'read', request: { model, elsewhere, ...rest } }
}
