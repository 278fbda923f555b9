import { toUnits } from '#core/units.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { editForMember, editsWithin } from '#providers/body-edits.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import type { BodyEdit, RequestChanges, RequestReading } from '#providers/model-request.ts'
import { type BoundRule, boundEdits, readBound } from '#providers/output-bounds.ts'
import { concludeReading } from '#providers/request-reading.ts'
import { readUnbounded } from '#providers/unbounded-request.ts'

/** The bound and the number of answers are in `generationConfig`; the path names the model, and whether it streams. */
const config = 'generationConfig'
const bound: BoundRule = { official: ['maxOutputTokens'], elsewhere: 'maxOutputTokens' }
const candidatesMax = 8
const recordingUnits = 100

export function readContent(isStream: boolean) {
  return (body: Buffer, members: JsonMembers, named?: string): RequestReading => {
    const read = createMemberReader(body, members)
    const { output, choices } = readConfig(read, body, members)
    const rest = { isStream, output, choices, leastCap: 1, hasOutput: true, lacksUsage: false }
    return concludeReading(read, body, members, rest, named)
  }
}

/** A recording in a form. No member bounds the output: a fixed amount is held. */
export function readRecording(body: Buffer, members: JsonMembers, named?: string): RequestReading {
  return readUnbounded(body, members, () => recordingUnits, named)
}

function readConfig(read: MemberReader, body: Buffer, { byKey }: JsonMembers) {
  // The service reads each member in two spellings.
  if (byKey.has('generation_config')) read.refuse(config, `The member ${config} must be spelled so.`)
  const member = byKey.get(config)
  if (!member) return { output: undefined, choices: 1 }
  const text = body.subarray(member.start, member.end)
  const inner = readMembers(text)
  if (inner.kind !== 'read' || [...inner.value.byKey.keys()].some((key) => key.includes('_'))) {
    read.refuse(config, `The member ${config} must be an object with members in camel case.`)
    return { output: undefined, choices: 1 }
  }
  const within = createMemberReader(text, inner.value)
  const choices = within.integer('candidateCount', { min: 1, max: candidatesMax }) ?? 1
  const each = readBound(within, text, inner.value, bound)
  const problem = within.problem()
  if (problem) read.refuse(config, problem.message)
  return { output: each === undefined ? undefined : toUnits(each * choices), choices }
}

export function editContent(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  const { outputMost, outputCapMax = Number.POSITIVE_INFINITY } = changes
  if (outputMost === undefined) return []
  if (members.byKey.has(config))
    return editsWithin(body, members, config, (text, inner) => boundEdits(text, inner, changes, bound))
  const cap = Math.min(outputMost, outputCapMax)
  return [{ ...editForMember(members, config, JSON.stringify({ maxOutputTokens: cap })), bound: cap }]
}
