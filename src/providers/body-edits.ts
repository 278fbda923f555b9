import type { JsonMember, JsonMembers } from '#lib/json-members.ts'
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

/** The edit that gives a top-level member another name. The name must be new, and the body well-formed. */
export function renameMember(body: Buffer, member: JsonMember, key: string): BodyEdit {
  const colon = body.lastIndexOf(0x3a, member.start - 1)
  const end = body.lastIndexOf(0x22, colon - 1) + 1
  // An opening quote follows a brace, a comma or white space; one inside the name follows a backslash.
  let start = body.lastIndexOf(0x22, end - 2)
  while (body[start - 1] === 0x5c) start = body.lastIndexOf(0x22, start - 1)
  return { start, end, text: JSON.stringify(key) }
}

/** The edit that takes a top-level member out, with one comma; undefined where it is not there. Stands behind all others. */
export function removalOf(body: Buffer, members: JsonMembers, key: string): BodyEdit | undefined {
  const member = members.byKey.get(key)
  if (!member) return undefined
  // Back over the colon and the key. No key that is asked for holds a quotation mark, so the second one opens it.
  const closing = body.lastIndexOf(0x22, member.start - 1)
  const start = body.lastIndexOf(0x22, closing - 1)
  const next = afterSpace(body, member.end)
  if (body[next] === 0x2c) return { start, end: next + 1, text: '' }
  const comma = body.lastIndexOf(0x2c, start)
  return { start: comma >= members.insertAt ? comma : start, end: member.end, text: '' }
}

function afterSpace(body: Buffer, from: number): number {
  let at = from
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at += 1
  return at
}
