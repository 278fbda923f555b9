import { afterSpace } from '#lib/json-elements.ts'
import { type JsonMember, type JsonMembers, readMembers } from '#lib/json-members.ts'
import type { BodyEdit } from './model-request.ts'

/** Splices edits into a body. They must not overlap; edits at the same place keep their order. */
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

/** The edit that sets a top-level member to this value (JSON text); a missing member is inserted. */
export function editForMember(members: JsonMembers, key: string, json: string): BodyEdit {
  const member = members.byKey.get(key)
  if (member) return { start: member.start, end: member.end, text: json }
  const { insertAt } = members
  // In an object without members a second insertion would need a comma; this does not happen, since every body here has a
  // model.
  return {
    start: insertAt,
    end: insertAt,
    text: `${JSON.stringify(key)}:${json}${members.isEmpty ? '' : ','}`,
  }
}

/**
 * The edits of an object that is a top-level member, as edits of the body. An empty list if the member is absent, or is not
 * an object in which each member is given once.
 */
export function editsWithin(
  body: Buffer,
  { byKey }: JsonMembers,
  key: string,
  editsOf: (text: Buffer, members: JsonMembers) => readonly BodyEdit[],
): readonly BodyEdit[] {
  const member = byKey.get(key)
  if (!member) return []
  const text = body.subarray(member.start, member.end)
  const inner = readMembers(text)
  if (inner.kind !== 'read') return []
  return editsOf(text, inner.value).map((edit) => movedBy(member.start, edit))
}

/** An edit of a part of a body as one of the body, in which the part begins at `offset`. */
export function movedBy(offset: number, edit: BodyEdit): BodyEdit {
  return { ...edit, start: edit.start + offset, end: edit.end + offset }
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

/** The edit that removes a top-level member with one comma; undefined if it is absent. It must be the last edit. */
export function removalOf(body: Buffer, members: JsonMembers, key: string): BodyEdit | undefined {
  const member = members.byKey.get(key)
  if (!member) return undefined
  // Search back over the colon and the key. The keys that are removed hold no quotation mark, so the second one opens the
  // key.
  const closing = body.lastIndexOf(0x22, member.start - 1)
  const start = body.lastIndexOf(0x22, closing - 1)
  const next = afterSpace(body, member.end)
  if (body[next] === 0x2c) return { start, end: next + 1, text: '' }
  const comma = body.lastIndexOf(0x2c, start)
  return { start: comma >= members.insertAt ? comma : start, end: member.end, text: '' }
}
