import type { AdvisorAsked, AdvisorMost } from '#core/output-need.ts'
import { elementsOf, openList, openObject } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { editForMember, movedBy } from './body-edits.ts'
import { stringOf } from './figures.ts'
import type { MemberReader } from './member-reader.ts'
import type { BodyEdit } from './model-request.ts'
import { boundOf } from './output-bounds.ts'

/**
 * Anthropic's advisor (`advisor_20260301`): a tool that lets another model read the conversation, at most `max_uses`
 * times, and write up to `max_tokens` each time. Without these two members it is unbounded: the request's own
 * `max_tokens` does not apply to it. A use beyond `max_uses` is answered with an error, and the model goes on without it.
 */
const advisorType = /^advisor(_|$)/
const boundNames = ['max_uses', 'max_tokens'] as const

/** The longest list of tools that is read; it is read only if one of them may be an advisor. */
const toolsBytesMax = 512 * 1024
/** The word `advisor`, plain or with escaped letters. */
const marks = ['advisor', '\\u006', '\\u007']

/** What the request says of its advisor; undefined without one. More than one advisor is refused. */
export function readAdvisor(
  read: MemberReader,
  body: Buffer,
  members: JsonMembers,
): AdvisorAsked | undefined {
  const found = findAdvisors(body, members, (message) => read.refuse('tools', message))
  if (found.length > 1) read.refuse('tools', 'Among the tools at most one may be an advisor.')
  const [advisor] = found
  if (!advisor) return undefined
  for (const key of advisor.members.byKey.keys()) {
    const name = boundNames.find((each) => each === key.toLowerCase())
    if (name !== undefined && name !== key)
      read.refuse('tools', `Among the tools the member ${name} of an advisor must be spelled so.`)
  }
  return { uses: statedOf(advisor, 'max_uses'), output: statedOf(advisor, 'max_tokens') }
}

/** The edits that lower the advisor's bounds to these. */
export function advisorEdits(
  body: Buffer,
  members: JsonMembers,
  most: AdvisorMost | undefined,
): readonly BodyEdit[] {
  if (most === undefined) return []
  return findAdvisors(body, members).flatMap((advisor) =>
    boundNames.flatMap((name) => {
      const bound = name === 'max_uses' ? most.uses : most.output
      const stated = statedOf(advisor, name)
      if (stated !== undefined && stated <= bound) return []
      return [movedBy(advisor.start, editForMember(advisor.members, name, String(bound)))]
    }),
  )
}

interface Advisor {
  readonly text: Buffer
  readonly start: number
  readonly members: JsonMembers
}

/** A valid bound: a positive whole number. Undefined otherwise. */
function statedOf({ text, members }: Advisor, name: string): number | undefined {
  const member = members.byKey.get(name)
  const value = member ? (boundOf(text, member) ?? 0) : 0
  return value >= 1 ? value : undefined
}

function findAdvisors(
  body: Buffer,
  { byKey }: JsonMembers,
  refuse: (message: string) => void = () => undefined,
): readonly Advisor[] {
  const list = byKey.get('tools')
  if (!list || body[list.start] !== openList || !mayBe(body.subarray(list.start, list.end))) return []
  if (list.end - list.start > toolsBytesMax) {
    refuse('The member tools is too long to hold an advisor.')
    return []
  }
  const found: Advisor[] = []
  for (const { start, end } of elementsOf(body, list)) {
    const text = body.subarray(start, end)
    if (text[0] !== openObject || !mayBe(text)) continue
    const reading = readMembers(text)
    if (reading.kind !== 'read')
      refuse('Among the tools an advisor must be an object in which each member is given once.')
    else if (advisorType.test(typeOf(text, reading.value)))
      found.push({ text, start, members: reading.value })
  }
  return found
}

function mayBe(text: Buffer): boolean {
  return marks.some((mark) => text.includes(mark))
}

const typeBytesMax = 256

function typeOf(text: Buffer, { byKey }: JsonMembers): string {
  const member = byKey.get('type')
  if (!member || member.end - member.start > typeBytesMax) return ''
  return stringOf(text.subarray(member.start, member.end)) ?? ''
}
