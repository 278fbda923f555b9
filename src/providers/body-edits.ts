import type { JsonMembers } from '#lib/json-members.ts'
import type { BodyEdit } from './provider.ts'

/** Splices edits into a body. They must not overlap; those at the same place stand in the order given. */
export function applyEdits(body: Buffer, edits: readonly BodyEdit[]): Buffer {
  if (edits.length === 0) return body
  const pieces: Buffer[] = []
  let from = 0
  for (const { start, end, text } of edits.toSorted((a, b) => a.start - b.start)) {
    if (start < from || end < start || end > body.length)
      throw new RangeError('Edits overlap or lie outside.')
    pieces.push(body.subarray(from, start), Buffer.from(text))
    from = end
  }
  pieces.push(body.subarray(from))
  return Buffer.concat(pieces)
}

/** The edit that gives a top-level member this value (JSON text), whether it is there or not. */
export function editForMember(members: JsonMembers, key: string, json: string): BodyEdit {
  const member = members.byKey.get(key)
  if (member) return { start: member.start, end: member.end, text: json }
  const { insertAt } = members
  // Without members a second insertion would need a comma; a body that is read always has its model.
  return {
    start: insertAt,
    end: insertAt,
    text: `${JSON.stringify(key)}:${json}${members.isEmpty ? '' : ','}`,
  }
}
