import { refused } from '#core/reading.ts'
import { toUnits } from '#core/units.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { read } from '#lib/reading.ts'
import { createMemberReader, type MemberReader } from './member-reader.ts'
import { noOutput, type RequestReading } from './model-request.ts'
import { readModelsElsewhere } from './models-elsewhere.ts'

/** The units that are reserved for a route which only the operator knows: some pages of text. */
const passedUnits = 4_096

/**
 * Reads a request whose output no member can bound. A fixed amount is reserved for it, and no bound is written into it.
 *
 * @param heldOf the units that are reserved for its output
 * @param named the model that the path names
 */
export function readUnbounded(
  body: Buffer,
  members: JsonMembers,
  heldOf: (reader: MemberReader) => number,
  named?: string,
): RequestReading {
  const reader = createMemberReader(body, members)
  const model = reader.model(named)
  const isStream = reader.boolean('stream') ?? false
  const elsewhere = readModelsElsewhere(reader, body, members, model)
  const output = toUnits(heldOf(reader))
  const problem = reader.problem()
  return problem ? refused(problem) : read({ ...noOutput, model, elsewhere, isStream, output })
}

export function readPassed(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(body, members, () => passedUnits)
}
