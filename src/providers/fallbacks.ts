import { elementsOf, openList, openObject } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { createMemberReader, type MemberReader } from './member-reader.ts'
import { otherSpelling } from './spellings.ts'

/**
 * Reads the members of each fallback model: they replace the request's own, so the same rules hold for them.
 *
 * @param take reads one fallback; what it refuses is reported as a problem of `fallbacks`
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
    if (reading.kind !== 'read') {
      read.refuse(
        'fallbacks',
        'Among the fallbacks each must be an object in which each member is given once.',
      )
      continue
    }
    const other = otherSpelling(reading.value)
    if (other !== undefined)
      read.refuse('fallbacks', `Among the fallbacks the member ${other.name} must be spelled so.`)
    const fallback = createMemberReader(text, reading.value)
    take(fallback)
    const problem = fallback.problem()
    if (problem) read.refuse('fallbacks', `Among the fallbacks: ${problem.message}`)
  }
}
