import type { IncomingMessage } from 'node:http'
import { createProblem, type Problem } from '#core/errors.ts'
import { type Reading, refused } from '#core/reading.ts'
import { createJsonDepth } from '#lib/json-depth.ts'
import { type ListBounds, parseList } from '#lib/json-list.ts'
import { isWellEncoded, scanMembers } from '#lib/json-members.ts'
import { type BodyBudget, type BodyReading, readBody } from './body.ts'

/**
 * How the control plane and the verifier read JSON. One item - a user, an event - is at most `itemBytesMax` bytes
 * and is parsed at once; a body may be larger only where it is a list of items, which are parsed one by one so
 * that other requests are served between them.
 */
export type JsonReading =
  | Reading<unknown>
  /** No body, or nothing but white space. */
  | { readonly kind: 'empty' }

export interface JsonBounds {
  readonly bytesMax: number
  readonly budget?: BodyBudget | undefined
  readonly list?: JsonList
}

export interface JsonList {
  /** The member of the body that is the list; absent: the body itself is. */
  readonly member?: string
  /** One item more than this is read, and then no further: the caller sees that there are too many. */
  readonly itemsMax: number
}

/** No user, event or key comes near it. `JSON.parse` takes at most 15 ms for so many bytes, however hostile. */
const itemBytesMax = 256 * 1024
/** Parsing it takes about two milliseconds. What is kept is bounded where it is checked: `meta` may be 16 deep. */
const depthMax = 32 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * What stands in the way before a byte is read. A body that does not say its type is taken for JSON; curl's
 * `-d` says that it sends a form, and taking that for JSON would let any web page's form reach us.
 * @param type the `content-type` header, @param coding the `content-encoding` header
 */
export function whyNotJson(type: string | undefined, coding: string | undefined): Problem | undefined {
  const coded = whyCoded(coding)
  if (coded || type === undefined || isJson(type)) return coded
  const [sent = ''] = type.split(';', 1)
  const message = `Send the body as JSON with "content-type: application/json"; it came as ${sent.trim().slice(0, 80)}.`
  return createProblem('unsupported_media_type', message)
}

/** A body that would have to be decompressed first is refused. @param coding the `content-encoding` header */
export function whyCoded(coding: string | undefined): Problem | undefined {
  if ((coding?.trim().toLowerCase() ?? 'identity') === 'identity') return undefined
  return createProblem('unsupported_media_type', 'Send the body without a content-encoding.')
}

function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(contentType.trim())
}

/** Reads a JSON body, whose type the caller has looked at; without a `list`, of at most `itemBytesMax` bytes. */
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
  if (reading.kind === 'read') return parseJson(reading.body, bounds)
  if (reading.kind === 'refused')
    return refused(createProblem('bad_json', `The body is nested more than ${depthMax} deep.`))
  return refused(problemOfBody(reading, bytesMaxOf(bounds)))
}

/** Why there is no body. */
export function problemOfBody(
  { kind }: Exclude<BodyReading, { readonly kind: 'read' }>,
  bytesMax: number,
): Problem {
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
    return text.trim() === '' ? { kind: 'empty' } : { kind: 'read', value: JSON.parse(text) }
  } catch {
    // The parser's own sentence quotes the text around the fault, and that may be a secret.
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
  const found = scan.members.byKey.get(member)
  // What stands beside the list is told by name only: nothing reads it.
  const others = [...scan.members.byKey.keys()].map((key) => [key, null] as const)
  if (!found) return { kind: 'read', value: Object.fromEntries(others) }
  const items = await itemsOf(body, found.start, found.end, bounds)
  if (items.kind !== 'read') return items
  return { kind: 'read', value: { ...Object.fromEntries(others), [member]: items.value } }
}

async function itemsOf(body: Buffer, start: number, end: number, bounds: ListBounds): Promise<JsonReading> {
  const parsed = await parseList(body, start, end, bounds)
  switch (parsed.kind) {
    case 'parsed':
      return { kind: 'read', value: parsed.items }
    case 'invalid':
      return badJson
    case 'item_too_large': {
      const message = `A body of more than ${itemBytesMax} bytes is a list, and no item of it is larger: [${parsed.index}] is.`
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
