import { toUnits } from '#core/units.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { createMemberReader, type MemberReader } from './member-reader.ts'
import { readModelsElsewhere } from './models-elsewhere.ts'
import { noOutput, type RequestReading } from './provider.ts'

/** The units that are reserved for a route which only the operator knows: some pages of text. */
const passedUnits = 4_096

/**
 * Reads a request whose output no member can bound. A fixed amount is reserved for it, and no bound is written into it.
 *
 * @param heldOf the units that are reserved for its output
 */
export function readUnbounded(
  body: Buffer,
  members: JsonMembers,
  heldOf: (read: MemberReader) => number,
): RequestReading {
  const read = createMemberReader(body, members)
  const model = read.model()
  const isStream = read.boolean('stream') ?? false
  const elsewhere = readModelsElsewhere(read, body, members, model)
  const output = toUnits(heldOf(read))
  const problem = read.problem()
  if (problem) return { kind: 'refused', problem }
  return { kind: 'read', request: { ...noOutput, model, elsewhere, isStream, output } }
}

export function readPassed(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(body, members, () => passedUnits)
}
