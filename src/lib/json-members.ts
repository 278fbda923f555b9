import { isUtf8 } from 'node:buffer'
import { setImmediate } from 'node:timers/promises'
import { JsonScanner } from './json-scanner.ts'
import { read, type TextReading, unreadable } from './reading.ts'

/**
 * Finds the top-level members of a JSON object in its bytes, without parsing what they hold. A request of 10 MB must
 * not stall the others as `JSON.parse` would, and a body that has to be changed is spliced, not re-serialised.
 *
 * A member that occurs twice is refused: parsers differ on which one counts, so a body could show one model to Tollgate
 * and another to the upstream. Small bodies are checked in full. In large ones the inside of strings is not checked: a
 * bad escape there does not move a member, and the upstream refuses it.
 */
export interface JsonMember {
  /** Decoded key. */
  readonly key: string
  /** First byte of the value and the first one after it. */
  readonly start: number
  readonly end: number
}

export interface JsonMembers {
  readonly byKey: ReadonlyMap<string, JsonMember>
  /** Offset just after the opening brace, where a member may be inserted. */
  readonly insertAt: number
  readonly isEmpty: boolean
}

export type MembersReading = TextReading<JsonMembers>

/** Up to here `JSON.parse` takes about a millisecond. */
const smallBytesMax = 256 * 1024
/**
 * Bytes that are scanned between two turns of the event loop: under a millisecond for dense JSON, far less for prose.
 */
const sliceBytes = 128 * 1024
/** UTF-8 is checked natively, some 10 GB a second. */
const utf8SliceBytes = 4 * 1024 * 1024

/** How many occurrences of a name are examined; no answer has as many after the one that counts. */
const looksMax = 1024

const notUtf8 = 'The body is not valid UTF-8.'

/** Reads a request's members: at once if the body is small; a large one yields to the event loop. */
export function scanMembers(
  body: Buffer,
  smallMax = smallBytesMax,
): MembersReading | Promise<MembersReading> {
  return body.length <= smallMax ? readMembers(body) : scanLarge(body)
}

async function scanLarge(body: Buffer): Promise<MembersReading> {
  if (!(await isWellEncoded(body))) return unreadable(notUtf8)
  const scanner = new JsonScanner(body)
  while (!scanner.run(sliceBytes)) await setImmediate()
  return readingOf(scanner)
}

/** Whether it is UTF-8; yields to the event loop while it is large. */
export async function isWellEncoded(body: Buffer): Promise<boolean> {
  for (let start = 0; start < body.length; ) {
    const end = characterStart(body, Math.min(body.length, start + utf8SliceBytes))
    if (end <= start || !isUtf8(body.subarray(start, end))) return false
    start = end
    await setImmediate()
  }
  return true
}

/** The same synchronously, for bodies that are known to be small. */
export function readMembers(body: Buffer): MembersReading {
  if (!isUtf8(body)) return unreadable(notUtf8)
  const scanner = new JsonScanner(body)
  scanner.run(Number.POSITIVE_INFINITY)
  const reading = readingOf(scanner)
  if (reading.kind === 'read' && !parses(body)) {
    return unreadable('The body is not valid JSON: a string holds a control character or a bad escape.')
  }
  return reading
}

/**
 * The last top-level member of this name in an object that is known to be valid JSON, found from its end: the part
 * before it is not read, however long. The key must not need escapes.
 */
export function findLastMember(body: Buffer, key: string): JsonMember | undefined {
  const quoted = quotedKey(key)
  let from = body.length
  // Each occurrence may be a thousand levels deep; nested objects of this name would be read again for each of them.
  let looks = 0
  while (from >= 0 && looks < looksMax) {
    const at = body.lastIndexOf(quoted, from)
    if (at < 0) return undefined
    from = at - 1
    // After a backslash the quote belongs to a longer string.
    if (at === 0 || body[at - 1] === 0x5c) continue
    looks += 1
    // Only a member at the top level is followed by members up to the closing brace and the end.
    const scanner = new JsonScanner(body, { afterKey: key, at: at + quoted.length })
    scanner.run(Number.POSITIVE_INFINITY)
    const member = scanner.message === undefined ? scanner.byKey.get(key) : undefined
    if (member) return member
    if (from < 0) return undefined
  }
  return undefined
}

const quotedKeys = new Map<string, Buffer>()

/** As bytes: a text would be turned into bytes again for each look. */
function quotedKey(key: string): Buffer {
  const known = quotedKeys.get(key)
  if (known) return known
  const made = Buffer.from(JSON.stringify(key))
  quotedKeys.set(key, made)
  return made
}

function readingOf(scanner: JsonScanner): MembersReading {
  const message = scanner.message
  if (message !== undefined) return unreadable(message)
  const { byKey } = scanner
  return read({ byKey, insertAt: scanner.insertAt, isEmpty: byKey.size === 0 })
}

function parses(body: Buffer): boolean {
  try {
    JSON.parse(body.toString())
    return true
  } catch {
    return false
  }
}

/** The nearest offset at or before `at` that does not cut a character in two. */
function characterStart(body: Buffer, at: number): number {
  let start = at
  while (start < body.length && start > at - 4 && ((body[start] ?? 0) & 0xc0) === 0x80) start -= 1
  return start
}
