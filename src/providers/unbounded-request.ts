import { toUnits } from '#core/units.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { createMemberReader, type MemberReader } from './member-reader.ts'
import { readModelsElsewhere } from './models-elsewhere.ts'
import { noOutput, type RequestReading } from './provider.ts'

/** Of a route that only the operator knows: some pages of text. */
const passedUnits = 4_096

/**
 * A request whose output no member bounds. What it may come to is held as it is said here, and nothing is written into it.
 *
 * @param heldOf the units that are held for its output
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
