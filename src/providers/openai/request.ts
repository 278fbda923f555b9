import { toUnits } from '#core/units.ts'
import { isNull } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { read } from '#lib/reading.ts'
import { readAdvisor } from '#providers/advisors.ts'
import { editForMember, editsWithin, removalOf } from '#providers/body-edits.ts'
import { readFallbacks } from '#providers/fallbacks.ts'
import { leastCapOf } from '#providers/least-cap.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import {
  type BodyEdit,
  type ModelRequest,
  noOutput,
  type RequestChanges,
  type RequestReading,
} from '#providers/model-request.ts'
import { type BoundRule, boundEdits, readBound } from '#providers/output-bounds.ts'
import { concludeReading, outputEdits } from '#providers/request-reading.ts'
import { outputMaximumOf } from './output-maximum.ts'
import { countPrompts } from './prompts.ts'

/** Reads the requests of each endpoint, and makes the edits that bound their output. */

const choicesMax = 128
const promptsMax = 2048
/** The service refuses a smaller `max_output_tokens` (API reference). */
const responseLeastCap = 16

/** Both members bound an answer at the service itself. It refuses the two together, and with some models one of them. */
const chatBound: BoundRule = {
  official: ['max_completion_tokens', 'max_tokens'],
  elsewhere: 'max_tokens',
  isConfigurable: true,
}
/**
 * The service ends a completion without a bound after 16 units, and accepts 0 for an answer that only echoes the prompt.
 */
const completionBound: BoundRule = {
  official: ['max_tokens'],
  elsewhere: 'max_tokens',
  isBoundByDefault: true,
  takesZero: true,
}
const responseBound: BoundRule = { official: ['max_output_tokens'], elsewhere: 'max_output_tokens' }
const streamOptionsBytesMax = 4096

export function readChat(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const choices = mostChoices(read, body, members)
  const output = times(readBound(read, body, members, chatBound), choices)
  const leastCap = leastCapOf(body, members)
  const lacksUsage = isStream && !asksUsage(body, members, read)
  const advisor = readAdvisor(read, body, members)
  return readingOf(read, body, members, {
    isStream,
    output,
    choices,
    leastCap,
    hasOutput: true,
    lacksUsage,
    ...(advisor && { advisor }),
  })
}

export function readCompletion(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const prompts = promptsOf(body, members)
  if (prompts > promptsMax)
    read.refuse('prompt', `The member prompt must hold at most ${promptsMax} prompts.`)
  const choices = mostChoices(read, body, members) * prompts
  const output = times(readBound(read, body, members, completionBound), choices)
  const leastCap = leastCapOf(body, members)
  const lacksUsage = isStream && !asksUsage(body, members, read)
  return readingOf(read, body, members, { isStream, output, choices, leastCap, hasOutput: true, lacksUsage })
}

export function readResponse(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const isStream = read.boolean('stream') ?? false
  const output = readBound(read, body, members, responseBound)
  readFallbacks(read, body, members)
  const leastCap = responseLeastCap
  const advisor = readAdvisor(read, body, members)
  if (read.boolean('background') === true) {
    // Such a response goes on after this connection has ended, where it cannot be metered.
    read.refuse(
      'background',
      'With background: true the answer could not be metered, so it is not served here. Use a stream.',
    )
  }
  return readingOf(read, body, members, {
    isStream,
    output,
    choices: 1,
    leastCap,
    hasOutput: true,
    lacksUsage: false,
    ...(advisor && { advisor }),
  })
}

export function readEmbedding(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  return readingOf(read, body, members, noOutput)
}

export function editChat(body: Buffer, members: JsonMembers, changes: RequestChanges): readonly BodyEdit[] {
  return [...outputEdits(body, members, changes, chatBound), ...streamEdits(body, members, changes)]
}

export function editCompletion(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  return [...boundEdits(body, members, changes, completionBound), ...streamEdits(body, members, changes)]
}

export function editResponse(
  body: Buffer,
  members: JsonMembers,
  changes: RequestChanges,
): readonly BodyEdit[] {
  return [...outputEdits(body, members, changes, responseBound), ...optionEdits(body, members, changes)]
}

function readingOf(
  reader: MemberReader,
  body: Buffer,
  members: JsonMembers,
  rest: Omit<ModelRequest, 'model'>,
): RequestReading {
  const reading = concludeReading(reader, body, members, rest)
  // If the client stated a bound itself, the provider decides whether to refuse it.
  if (reading.kind === 'refused' || rest.output !== undefined) return reading
  const request = reading.value
  const mostCap = outputMaximumOf(request.model)
  return mostCap === undefined ? reading : read({ ...request, mostCap })
}

const choiceNames = ['n', 'best_of', 'n_cmpl', 'num_return_sequences']

/**
 * How many answers are written and paid for, which may be more than are sent: of `best_of` answers the best `n` are sent.
 * llama.cpp has its own name for `n`.
 */
function choicesOf(read: MemberReader): number {
  const counts = choiceNames.map((key) => read.integer(key, { min: 1, max: choicesMax }) ?? 1)
  return Math.max(...counts)
}

/** The most answers of the request and of its fallbacks. */
function mostChoices(read: MemberReader, body: Buffer, members: JsonMembers): number {
  let most = choicesOf(read)
  readFallbacks(read, body, members, (fallback) => {
    most = Math.max(most, choicesOf(fallback))
  })
  return most
}

/** vLLM answers each of `prompt_embeds` beside each of `prompt`. */
function promptsOf(body: Buffer, { byKey }: JsonMembers): number {
  const given = ['prompt', 'prompt_embeds'].flatMap((key) => {
    const member = byKey.get(key)
    return member && !isNull(body, member) ? [countPrompts(body, member, promptsMax)] : []
  })
  return Math.max(
    1,
    given.reduce((sum, count) => sum + count, 0),
  )
}

function times(each: number | undefined, choices: number): number | undefined {
  return each === undefined ? undefined : toUnits(each * choices)
}

/** Whether the client itself asks for a stream's usage. */
function asksUsage(body: Buffer, members: JsonMembers, read: MemberReader): boolean {
  const member = members.byKey.get('stream_options')
  if (!member || isNull(body, member)) return false
  const slice = body.subarray(member.start, member.end)
  const options = slice.length <= streamOptionsBytesMax ? readMembers(slice) : undefined
  if (options?.kind !== 'read') {
    read.refuse(
      'stream_options',
      'The member stream_options must be a short object in which each member is given once.',
    )
    return false
  }
  return createMemberReader(slice, options.value).boolean('include_usage') === true
}

const optionsKey = 'stream_options'

/** Removes the options of streams from a request to an upstream that refuses them. */
export function optionEdits(
  body: Buffer,
  members: JsonMembers,
  { refusesStreamOptions }: RequestChanges,
): readonly BodyEdit[] {
  const removal = refusesStreamOptions ? removalOf(body, members, optionsKey) : undefined
  return removal ? [removal] : []
}

/** The same, and asks for a stream's usage elsewhere. */
function streamEdits(body: Buffer, members: JsonMembers, changes: RequestChanges): readonly BodyEdit[] {
  if (!changes.addsUsage) return optionEdits(body, members, changes)
  const key = optionsKey
  const member = members.byKey.get(key)
  if (!member || isNull(body, member)) return [editForMember(members, key, '{"include_usage":true}')]
  return editsWithin(body, members, key, (_text, options) => [
    editForMember(options, 'include_usage', 'true'),
  ])
}
