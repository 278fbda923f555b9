import type { JsonMembers } from '#lib/json-members.ts'
import type { RequestReading } from '#providers/model-request.ts'
import { readUnbounded } from '#providers/unbounded-request.ts'

/**
 * The units that are reserved for requests without a bound: the most that a usual one comes to. The provider's own figure
 * is charged.
 */

/** A large image of the best quality is 6,240 units (image generation guide). */
const imageUnits = 6_400
const imagesMax = 128
/** Some minutes of speech, written or spoken. */
const speechUnits = 4_096
/** A conversation's summary. */
const compactionUnits = 8_192

export function readImages(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(
    body,
    members,
    (read) => (read.integer('n', { min: 1, max: imagesMax }) ?? 1) * imageUnits,
  )
}

export function readSpeech(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(body, members, () => speechUnits)
}

export function readCompaction(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(body, members, () => compactionUnits)
}

/** Requests without output: moderations, rerankings, counts. */
export function readPlain(body: Buffer, members: JsonMembers): RequestReading {
  return readUnbounded(body, members, () => 0)
}
