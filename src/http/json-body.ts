import type { IncomingMessage } from 'node:http'
import { createProblem, type Problem } from '#core/errors.ts'
import { type Reading, refused } from '#core/reading.ts'
import { createJsonDepth } from '#lib/json-depth.ts'
import { type ListBounds, parseList } from '#lib/json-list.ts'
import { isWellEncoded, scanMembers } from '#lib/json-members.ts'
import { type Read, read } from '#lib/reading.ts'
import { type BodyBudget, type BodyReading, readBody } from './body.ts'

/**
 * How the control plane and the verifier read JSON. One item, such as a user or an event, is at most `itemBytesMax`
 * bytes and is parsed in one step. A body may be larger only where it is a list of items, which are parsed one by one
 * so that other requests are served between them.
 */
export type JsonReading =
  | Reading<unknown>
  /** No body, or only white space. */
  | { readonly kind: 'empty' }

export interface JsonBounds {
  readonly bytesMax: number
  readonly budget?: BodyBudget | undefined
  readonly list?: JsonList
}

export interface JsonList {
  /** The member of the body that is the list; absent: the body itself is. */
  readonly member?: string
  /** Reading stops after one item more than this, so that the caller sees that there are too many. */
  readonly itemsMax: number
}

/** Far above any real user, event or key. `JSON.parse` takes at most 15 ms for this size, even for a hostile body. */
const itemBytesMax = 256 * 1024
/**
 * Parsing this depth takes about two milliseconds. Stored JSON has a smaller bound of its own: `meta` may be 16 deep.
 */
const depthMax = 32 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Refusals before a byte of the body is read. A body without a type is taken for JSON. One with a form's type, which
 * curl's `-d` sends, is refused: accepting it would let forms of any web page reach this API.
 * @param type the `content-type` header, @param coding the `content-encoding` header
 */
export function whyNotJson(type: string | undefined, coding: string | undefined): Problem | undefined {
  const coded = whyCoded(coding)
  if (coded || type === undefined || isJson(type)) return coded
  const [sent = ''] = type.split(';', 1)
  const message = `Send the body as JSON with "content-type: application/json"; it came as ${sent.trim().slice(0, 80)}.`
  return createProblem('unsupported_media_type', message)
}

/** Refuses a compressed body. @param coding the `content-encoding` header */
export function whyCoded(coding: string | undefined): Problem | undefined {
  if ((coding?.trim().toLowerCase() ?? 'identity') === 'identity') return undefined
  return createProblem('unsupported_media_type', 'Send the body without a content-encoding.')
}

function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(contentType.trim())
}

/** Reads a JSON body, whose type the caller has checked; without a `list`, of at most `itemBytesMax` bytes. */
export async function readJson(request: IncomingMessage, bounds: JsonBounds): Promise<JsonReading> {
  const bytesMax = bytesMaxOf(bounds)
  const depth = createJsonDepth(depthMax)
  const reading = await readBody(request, bytesMax, { budget: bounds.budget, isFine: depth.take })
  return toJson(reading, bounds)
}

export function bytesMaxOf({ bytesMax, list }: JsonBounds): number {
  return list ? bytesMax : Math.min(bytesMax, itemBytesMax)
}

/** A body that was read, as JSON; `refused` stands for one that is nested too deep. */
export async function toJson(reading: BodyReading, bounds: JsonBounds): Promise<JsonReading> {
  if (reading.kind === 'read') return parseJson(reading.value, bounds)
  if (reading.kind === 'refused')
    return refused(createProblem('bad_json', `The body is nested more than ${depthMax} deep.`))
  return refused(problemOfBody(reading, bytesMaxOf(bounds)))
}

/** The problem for which a body was not read. */
export function problemOfBody({ kind }: Exclude<BodyReading, Read<Buffer>>, bytesMax: number): Problem {
  switch (kind) {
    case 'too_large':
      return createProblem('body_too_large', `The body is too large: at most ${bytesMax} bytes are read.`)
    case 'overloaded':
      return createProblem('overloaded')
    case 'refused':
      return createProblem('bad_request')
    case 'gone':
      return createProblem('bad_request', 'The body ended early.')
  }
}

async function parseJson(body: Buffer, { list }: JsonBounds): Promise<JsonReading> {
  if (list && body.length > itemBytesMax) return parseItems(body, list)
  try {
    const text = utf8.decode(body)
    return text.trim() === '' ? { kind: 'empty' } : read(JSON.parse(text))
  } catch {
    // The parser's own message quotes the text around the fault, which may be a secret.
    return badJson
  }
}

async function parseItems(body: Buffer, { member, itemsMax }: JsonList): Promise<JsonReading> {
  const bounds = { itemsMax: itemsMax + 1, itemBytesMax }
  if (member === undefined) {
    if (!(await isWellEncoded(body))) return badJson
    return itemsOf(body, textStart(body), body.length, bounds)
  }
  const scan = await scanMembers(body)
  if (scan.kind === 'invalid') return refused(createProblem('bad_json', scan.message))
  const found = scan.value.byKey.get(member)
  // The members beside the list are returned by name only, since they are not used.
  const others = [...scan.value.byKey.keys()].map((key) => [key, null] as const)
  if (!found) return read(Object.fromEntries(others))
  const items = await itemsOf(body, found.start, found.end, bounds)
  if (items.kind !== 'read') return items
  return read({ ...Object.fromEntries(others), [member]: items.value })
}

async function itemsOf(body: Buffer, start: number, end: number, bounds: ListBounds): Promise<JsonReading> {
  const parsed = await parseList(body, start, end, bounds)
  switch (parsed.kind) {
    case 'read':
      return parsed
    case 'invalid':
      return badJson
    case 'item_too_large': {
      const message = `An item of the list may have at most ${itemBytesMax} bytes: [${parsed.index}] has more.`
      return refused(createProblem('body_too_large', message))
    }
  }
}

/** The first byte that is neither white space nor a byte order mark. */
function textStart(body: Buffer): number {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
  while (at < body.length && [0x20, 0x0a, 0x0d, 0x09].includes(body[at] ?? 0)) at += 1
  return at
}

const badJson = refused(createProblem('bad_json'))
