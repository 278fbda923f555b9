import type { IncomingMessage } from 'node:http'
import { readBody } from '#http/body.ts'
import { type Refusal, refuse } from './answer.ts'

export type Read<T> = { readonly kind: 'read'; readonly value: T } | Refusal

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The media type that a request says it sends, without parameters; '' where it does not say. */
export function mediaTypeOf(request: IncomingMessage): string {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  return type.trim().toLowerCase()
}

/**
 * Reads a JSON body; one that does not say its type is taken for JSON.
 * @param empty what no body at all stands for; without it that is an error
 */
export async function readJson(
  request: IncomingMessage,
  bytesMax: number,
  empty?: object,
): Promise<Read<unknown>> {
  const type = mediaTypeOf(request)
  if (type !== '' && !/^application\/(?:[\w.!#$&^-]+\+)?json$/.test(type))
    return refuse('unsupported_media_type', 'Send the body as JSON with "content-type: application/json".')
  const text = await readText(request, bytesMax)
  if (text.kind === 'refused') return text
  if (empty && text.value.trim() === '') return { kind: 'read', value: empty }
  try {
    return { kind: 'read', value: JSON.parse(text.value) }
  } catch {
    // The parser's own sentence quotes the text around the fault, and that may be a secret.
    return refuse('bad_json')
  }
}

const formType = 'application/x-www-form-urlencoded'

export async function readForm(request: IncomingMessage, bytesMax: number): Promise<Read<URLSearchParams>> {
  if (mediaTypeOf(request) !== formType)
    return refuse('unsupported_media_type', `Send the body as "content-type: ${formType}".`)
  const text = await readText(request, bytesMax)
  return text.kind === 'refused' ? text : { kind: 'read', value: new URLSearchParams(text.value) }
}

async function readText(request: IncomingMessage, bytesMax: number): Promise<Read<string>> {
  const coding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity')
    return refuse('unsupported_media_type', 'Send the body without a content-encoding.')
  const reading = await readBody(request, bytesMax)
  switch (reading.kind) {
    case 'too_large':
      return refuse('body_too_large', `The body is larger than ${bytesMax} bytes.`)
    case 'gone':
      return refuse('bad_request', 'The body ended early.')
    case 'read':
      try {
        return { kind: 'read', value: utf8.decode(reading.body) }
      } catch {
        return refuse('bad_request', 'The body is not valid UTF-8.')
      }
  }
}
