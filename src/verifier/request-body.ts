import type { IncomingMessage } from 'node:http'
import { readBody } from '#http/body.ts'
import { type JsonList, problemOfBody, readJson as readJsonBody } from '#http/json-body.ts'
import { type Refusal, refuse, refused } from './answer.ts'
import type { VerifierContext } from './context.ts'

export type Read<T> = { readonly kind: 'read'; readonly value: T } | Refusal

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The media type that a request says it sends, without parameters; '' where it does not say. */
export function mediaTypeOf(request: IncomingMessage): string {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  return type.trim().toLowerCase()
}

/** A batch may be so large: a thousand events of 4 KiB, and an event usually has 300 bytes. */
const batchBytesMax = 4 * 1024 * 1024

type Bounds = Pick<VerifierContext, 'bodyBytesMax' | 'bodyBudget'>

/**
 * Reads a JSON body of one item; one that does not say its type is taken for JSON.
 * @param more `empty`: what no body at all stands for, without it that is an error; `list`: it may be a batch
 */
export async function readJson(
  request: IncomingMessage,
  { bodyBytesMax, bodyBudget }: Bounds,
  more: { readonly empty?: object; readonly list?: JsonList } = {},
): Promise<Read<unknown>> {
  const type = mediaTypeOf(request)
  if (type !== '' && !/^application\/(?:[\w.!#$&^-]+\+)?json$/.test(type))
    return refuse('unsupported_media_type', 'Send the body as JSON with "content-type: application/json".')
  if (isCoded(request)) return refuseCoding()
  const { empty, list } = more
  const bytesMax = Math.min(bodyBytesMax, batchBytesMax)
  const reading = await readJsonBody(request, { bytesMax, budget: bodyBudget, ...(list && { list }) })
  switch (reading.kind) {
    case 'refused':
      return refused(reading.problem)
    case 'empty':
      return empty ? { kind: 'read', value: empty } : refuse('bad_json')
    case 'read':
      return reading
  }
}

const formType = 'application/x-www-form-urlencoded'

export async function readForm(
  request: IncomingMessage,
  { bodyBytesMax, bodyBudget }: Bounds,
): Promise<Read<URLSearchParams>> {
  if (mediaTypeOf(request) !== formType)
    return refuse('unsupported_media_type', `Send the body as "content-type: ${formType}".`)
  if (isCoded(request)) return refuseCoding()
  const bytesMax = Math.min(bodyBytesMax, formBytesMax)
  const reading = await readBody(request, bytesMax, { budget: bodyBudget })
  if (reading.kind !== 'read') return refused(problemOfBody(reading, bytesMax))
  try {
    return { kind: 'read', value: new URLSearchParams(utf8.decode(reading.body)) }
  } catch {
    return refuse('bad_request', 'The body is not valid UTF-8.')
  }
}

/** An access token of 512 characters, each of them four bytes and escaped, is a tenth of it. */
const formBytesMax = 64 * 1024

function isCoded(request: IncomingMessage): boolean {
  return (request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity') !== 'identity'
}

function refuseCoding(): Refusal {
  return refuse('unsupported_media_type', 'Send the body without a content-encoding.')
}
