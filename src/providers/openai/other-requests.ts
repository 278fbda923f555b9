import { toUnits } from '#core/units.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { createMemberReader, type MemberReader } from '#providers/member-reader.ts'
import { noOutput, type RequestReading } from '#providers/provider.ts'

/**
 * Requests whose output no member bounds. What they may come to is held as it is said here, the most that a usual one
 * comes to, and nothing is written into them; the provider's figure settles where it states one.
 */

/** A large image of the best quality comes to 6,240 (image generation guide). */
const imageUnits = 6_400
const imagesMax = 128
/** Some minutes of speech, written or spoken. */
const speechUnits = 4_096
/** A conversation's summary. */
const compactionUnits = 8_192

export function readImages(body: Buffer, members: JsonMembers): RequestReading {
  const read = createMemberReader(body, members)
  const images = read.integer('n', { min: 1, max: imagesMax }) ?? 1
  return readingOf(read, toUnits(images * imageUnits))
}

export function readSpeech(body: Buffer, members: JsonMembers): RequestReading {
  return readingOf(createMemberReader(body, members), speechUnits)
}

export function readCompaction(body: Buffer, members: JsonMembers): RequestReading {
  return readingOf(createMemberReader(body, members), compactionUnits)
}

/** What has no output: a judgement, an order, a count. */
export function readPlain(body: Buffer, members: JsonMembers): RequestReading {
  return readingOf(createMemberReader(body, members), 0)
}

function readingOf(read: MemberReader, output: number): RequestReading {
  const model = read.model()
  const isStream = read.boolean('stream') ?? false
  const problem = read.problem()
  if (problem) return { kind: 'refused', problem }
  return {
    kind: 'read',
    request: { ...noOutput, model, isStream, output },
  }
}
