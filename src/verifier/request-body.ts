import type { IncomingMessage } from 'node:http'
import { type Schema, toReading } from '#core/parsed.ts'
import { type Reading, refused } from '#core/reading.ts'
import { refuse } from '#http/answer.ts'
import { readBody } from '#http/body.ts'
import {
  type JsonList,
  problemOfBody,
  readJson as readJsonBody,
  whyCoded,
  whyNotJson,
} from '#http/json-body.ts'
import { read } from '#lib/reading.ts'
import type { VerifierContext } from './context.ts'
import { parse } from './fields-wire.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The media type of a request's body, without parameters; '' where the header is missing. */
export function mediaTypeOf(request: IncomingMessage): string {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  return type.trim().toLowerCase()
}

/** The largest batch: a thousand events of 4 KiB, where an event usually has 300 bytes. */
const batchBytesMax = 4 * 1024 * 1024

type Bounds = Pick<VerifierContext, 'bodyBytesMax' | 'bodyBudget'>

/**
 * Reads a JSON body of one item; a body without a type is taken for JSON.
 * @param more `empty`: the value of a missing body, which is an error without it; `list`: the body may be a batch
 */
export async function readJson(
  request: IncomingMessage,
  { bodyBytesMax, bodyBudget }: Bounds,
  more: { readonly empty?: object; readonly list?: JsonList } = {},
): Promise<Reading<unknown>> {
  const problem = whyNotJson(mediaTypeOf(request) || undefined, request.headers['content-encoding'])
  if (problem) return refused(problem)
  const { empty, list } = more
  const bytesMax = Math.min(bodyBytesMax, batchBytesMax)
  const reading = await readJsonBody(request, { bytesMax, budget: bodyBudget, ...(list && { list }) })
  if (reading.kind !== 'empty') return reading
  return empty ? read(empty) : refuse('bad_json')
}

/** The same as what a schema makes of it. */
export async function readParsed<T>(
  request: IncomingMessage,
  bounds: Bounds,
  schema: Schema<T>,
  more?: { readonly empty: object },
): Promise<Reading<T>> {
  const body = await readJson(request, bounds, more)
  return body.kind === 'refused' ? body : toReading(parse(schema, body.value))
}

const formType = 'application/x-www-form-urlencoded'

export async function readForm(
  request: IncomingMessage,
  { bodyBytesMax, bodyBudget }: Bounds,
): Promise<Reading<URLSearchParams>> {
  if (mediaTypeOf(request) !== formType)
    return refuse('unsupported_media_type', `Send the body as "content-type: ${formType}".`)
  const coded = whyCoded(request.headers['content-encoding'])
  if (coded) return refused(coded)
  const bytesMax = Math.min(bodyBytesMax, formBytesMax)
  const reading = await readBody(request, bytesMax, { budget: bodyBudget })
  if (reading.kind !== 'read') return refused(problemOfBody(reading, bytesMax))
  try {
    return read(new URLSearchParams(utf8.decode(reading.value)))
  } catch {
    return refuse('bad_request', 'The body is not valid UTF-8.')
  }
}

/** Ten times an access token of 512 characters of four bytes each, percent-encoded. */
const formBytesMax = 64 * 1024
