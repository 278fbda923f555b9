import { createProblem, type Problem } from '#core/errors.ts'
import { type BodyReading, readBody } from '#http/body.ts'
import type { AdminContext } from './context.ts'

export type JsonReading =
  | { readonly kind: 'read'; readonly value: unknown }
  /** No body, or nothing but white space. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'refused'; readonly problem: Problem }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Reads a request's JSON body, of at most `bytesMax` bytes; call it only for a caller who is known. */
export async function readJsonBody(c: AdminContext, bytesMax: number): Promise<JsonReading> {
  const refusal = whetherUnreadable(c)
  if (refusal) return { kind: 'refused', problem: refusal }
  const incoming = c.env?.incoming
  const reading = incoming ? await readBody(incoming, bytesMax) : await readWebBody(c.req.raw, bytesMax)
  switch (reading.kind) {
    case 'too_large':
      return refused(createProblem('body_too_large', `The body is larger than ${bytesMax} bytes.`))
    case 'gone':
      return refused(createProblem('bad_request', 'The body ended early.'))
    case 'read':
      return parseJson(reading.body)
  }
}

function parseJson(body: Buffer): JsonReading {
  try {
    const text = utf8.decode(body)
    return text.trim() === '' ? { kind: 'empty' } : { kind: 'read', value: JSON.parse(text) }
  } catch {
    // The parser's own sentence quotes the text around the fault, and that may be a secret.
    return refused(createProblem('bad_json'))
  }
}

/**
 * What stands in the way before a byte is read. A body that does not say its type is taken for JSON; curl's
 * `-d` says that it sends a form, and taking that for JSON would let any web page's form reach us.
 */
function whetherUnreadable(c: AdminContext): Problem | undefined {
  if (!hasBody(c)) return undefined
  const encoding = c.req.header('content-encoding')?.trim().toLowerCase() ?? 'identity'
  if (encoding !== 'identity') {
    return createProblem('unsupported_media_type', 'Send the body without a content-encoding.')
  }
  const type = c.req.header('content-type')
  if (type === undefined || isJson(type)) return undefined
  const [sent = ''] = type.split(';', 1)
  const message = `Send the body as JSON with "content-type: application/json"; it came as ${sent.trim().slice(0, 80)}.`
  return createProblem('unsupported_media_type', message)
}

function hasBody(c: AdminContext): boolean {
  const length = c.req.header('content-length')
  if (length !== undefined) return Number(length) > 0
  return c.req.header('transfer-encoding') !== undefined || (!c.env?.incoming && c.req.raw.body !== null)
}

function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i.test(contentType.trim())
}

function refused(problem: Problem): JsonReading {
  return { kind: 'refused', problem }
}

/** The same bound for a request that came without a port. */
async function readWebBody(request: Request, bytesMax: number): Promise<BodyReading> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) return { kind: 'too_large' }
    chunks.push(chunk)
  }
  return { kind: 'read', body: Buffer.concat(chunks) }
}
