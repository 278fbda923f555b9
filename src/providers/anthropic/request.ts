import type { JsonMembers } from '#lib/json-members.ts'
import { editForMember } from '#providers/body-edits.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import type { BodyEdit, ModelRequest, RequestChanges, RequestReading } from '#providers/provider.ts'

/** What each endpoint's request says about itself, and what may be written into it. */

export function readMessage(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  // The provider requires it, and says so itself; 0 is allowed (it only fills the cache).
  const output = read.units('max_tokens')
  return readingOf(read, { isStream, output, choices: 1, hasOutput: true, lacksUsage: false })
}

export function readCount(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  return readingOf(read, { isStream: false, output: 0, choices: 1, hasOutput: false, lacksUsage: false })
}

export function editMessage(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  const { outputCap, outputCapMember: key = 'max_tokens' } = changes
  if (outputCap === undefined) return []
  const member = members.byKey.get(key)
  const isSet = member && body[member.start] !== 0x6e
  return isSet ? [] : [editForMember(members, key, String(outputCap))]
}

function readingOf(read: MemberReader, rest: Omit<ModelRequest, 'model'>): RequestReading {
  const model = read.model()
  const problem = read.problem()
  return problem ? { kind: 'refused', problem } : { kind: 'read', request: { model, ...rest } }
}
