import { toUnits } from '#core/units.ts'
import { type JsonMember, type JsonMembers, readMembers } from '#lib/json-members.ts'
import { editForMember } from '#providers/body-edits.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import type { BodyEdit, ModelRequest, RequestChanges, RequestReading } from '#providers/provider.ts'
import { countPrompts } from './prompts.ts'

/** What each endpoint's request says about itself, and what may be written into it. */

const choicesMax = 128
const promptsMax = 2048
/** What a completion's output is bounded by where it does not say (API reference, `max_tokens`). */
const completionOutputDefault = 16
const streamOptionsBytesMax = 4096

export function readChat(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const choices = read.integer('n', { min: 1, max: choicesMax }) ?? 1
  const each = smaller(read.units('max_completion_tokens'), read.units('max_tokens'))
  const output = each === undefined ? undefined : toUnits(each * choices)
  const lacksUsage = isStream && !asksUsage(body, members, read)
  return readingOf(read, { isStream, output, choices, hasOutput: true, lacksUsage })
}

export function readCompletion(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const wanted = read.integer('n', { min: 1, max: choicesMax }) ?? 1
  // All of `best_of` are written and paid for, `n` of them are answered.
  const written = Math.max(wanted, read.integer('best_of', { min: 1, max: choicesMax }) ?? 1)
  const prompts = countPrompts(body, members.byKey.get('prompt'), promptsMax)
  if (prompts > promptsMax)
    read.refuse('prompt', `The member prompt must hold at most ${promptsMax} prompts.`)
  const choices = written * prompts
  const output = toUnits((read.units('max_tokens') ?? completionOutputDefault) * choices)
  const lacksUsage = isStream && !asksUsage(body, members, read)
  return readingOf(read, { isStream, output, choices, hasOutput: true, lacksUsage })
}

export function readResponse(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const output = read.units('max_output_tokens')
  if (read.boolean('background') === true) {
    // It would go on after this connection has ended, where nothing can be metered.
    read.refuse(
      'background',
      'With background: true the answer could not be metered, so it is not served here. Use a stream.',
    )
  }
  return readingOf(read, { isStream, output, choices: 1, hasOutput: true, lacksUsage: false })
}

export function readEmbedding(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  return readingOf(read, { isStream: false, output: 0, choices: 1, hasOutput: false, lacksUsage: false })
}

export function editChat(body: Buffer, members: JsonMembers, changes: RequestChanges): readonly BodyEdit[] {
  const capMember = changes.outputCapMember ?? 'max_completion_tokens'
  return [...capEdits(body, members, changes, capMember), ...usageEdits(body, members, changes)]
}

export function editCompletion(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  const capMember = changes.outputCapMember ?? 'max_tokens'
  return [...capEdits(body, members, changes, capMember), ...usageEdits(body, members, changes)]
}

export function editResponse(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  return capEdits(body, members, changes, changes.outputCapMember ?? 'max_output_tokens')
}

function readingOf(read: MemberReader, rest: Omit<ModelRequest, 'model'>): RequestReading {
  const model = read.model()
  const problem = read.problem()
  return problem ? { kind: 'refused', problem } : { kind: 'read', request: { model, ...rest } }
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.min(a, b)
}

/** Sets the cap where none stands; a bound that the client gave is its own. */
function capEdits(
  body: Buffer,
  members: JsonMembers,
  { outputCap }: RequestChanges,
  key: string,
): readonly BodyEdit[] {
  if (outputCap === undefined) return []
  const member = members.byKey.get(key)
  return member && !isNull(body, member) ? [] : [editForMember(members, key, String(outputCap))]
}

function isNull(body: Buffer, { start, end }: JsonMember): boolean {
  return body.toString('latin1', start, Math.min(end, start + 5)) === 'null'
}

/** Whether the client itself asks for a stream's usage. */
function asksUsage(body: Buffer, members: JsonMembers, read: MemberReader): boolean {
  const member = members.byKey.get('stream_options')
  if (!member || isNull(body, member)) return false
  const slice = body.subarray(member.start, member.end)
  const options = slice.length <= streamOptionsBytesMax ? readMembers(slice) : undefined
  if (options?.kind !== 'members') {
    read.refuse(
      'stream_options',
      'The member stream_options must be a short object whose members stand once.',
    )
    return false
  }
  return createMemberReader(slice, options.members).boolean('include_usage') === true
}

function usageEdits(body: Buffer, members: JsonMembers, { addsUsage }: RequestChanges): readonly BodyEdit[] {
  if (!addsUsage) return []
  const key = 'stream_options'
  const member = members.byKey.get(key)
  if (!member || isNull(body, member)) return [editForMember(members, key, '{"include_usage":true}')]
  const options = readMembers(body.subarray(member.start, member.end))
  if (options.kind !== 'members') return []
  const edit = editForMember(options.members, 'include_usage', 'true')
  return [{ ...edit, start: edit.start + member.start, end: edit.end + member.start }]
}
