import type { JsonMembers } from '#lib/json-members.ts'
import { advisorEdits } from './advisors.ts'
import type { MemberReader } from './member-reader.ts'
import { readModelsElsewhere } from './models-elsewhere.ts'
import { type BoundRule, boundEdits } from './output-bounds.ts'
import type { BodyEdit, ModelRequest, RequestChanges, RequestReading } from './provider.ts'

/**
 * Reads what every request states, beside what its endpoint has read. The first problem of either refuses the request.
 *
 * @param named the model that the path names
 */
export function concludeReading(
  read: MemberReader,
  body: Buffer,
  members: JsonMembers,
  rest: Omit<ModelRequest, 'model'>,
  named?: string,
): RequestReading {
  const model = read.model(named)
  const elsewhere = readModelsElsewhere(read, body, members, model)
  const problem = read.problem()
  return problem ? { kind: 'refused', problem } : { kind: 'read', request: { model, elsewhere, ...rest } }
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
