import { refused } from '#core/reading.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { read } from '#lib/reading.ts'
import { advisorEdits } from './advisors.ts'
import type { MemberReader } from './member-reader.ts'
import type { BodyEdit, ModelRequest, RequestChanges, RequestReading } from './model-request.ts'
import { readModelsElsewhere } from './models-elsewhere.ts'
import { type BoundRule, boundEdits } from './output-bounds.ts'

/**
 * Reads what every request states, beside what its endpoint has read. The first problem of either refuses the request.
 *
 * @param named the model that the path names
 */
export function concludeReading(
  reader: MemberReader,
  body: Buffer,
  members: JsonMembers,
  rest: Omit<ModelRequest, 'model'>,
  named?: string,
): RequestReading {
  const model = reader.model(named)
  const elsewhere = readModelsElsewhere(reader, body, members, model)
  const problem = reader.problem()
  return problem ? refused(problem) : read({ model, elsewhere, ...rest })
}

/** The edits that bound the answer and its advisor. */
export function outputEdits(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
  rule: BoundRule,
): readonly BodyEdit[] {
  return [...boundEdits(body, members, changes, rule), ...advisorEdits(body, members, changes.advisorMost)]
}
