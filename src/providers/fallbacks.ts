import { elementsOf, openList, openObject } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { createMemberReader, type MemberReader } from './member-reader.ts'
import { otherSpelling } from './spellings.ts'

/**
 * What a request says of each model that may take over: its members stand in place of the request's own, so they are
 * read as those are.
 *
 * @param take reads one of them; what it refuses is refused as a member of `fallbacks`
 */
export function readFallbacks(
  read: MemberReader,
  body: Buffer,
  { byKey }: JsonMembers,
  take: (fallback: MemberReader) => void = () => undefined,
): void {
  const list = byKey.get('fallbacks')
  if (!list || body[list.start] !== openList) return
  for (const { start, end } of elementsOf(body, list)) {
    if (body[start] !== openObject) continue
    const text = body.subarray(start, end)
    const reading = readMembers(text)
    if (reading.kind !== 'members') {
      read.refuse('fallbacks', 'Among the fallbacks each must be an object whose members stand once.')
      continue
    }
    const other = otherSpelling(reading.members)
    if (other !== undefined)
      read.refuse('fallbacks', `Among the fallbacks the member ${other.name} must be spelled so.`)
    const fallback = createMemberReader(text, reading.members)
    take(fallback)
    const problem = fallback.problem()
    if (problem) read.refuse('fallbacks', `Among the fallbacks: ${problem.message}`)
  }
}
