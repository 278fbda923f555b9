import type { AdminContext, AdminParts } from '#admin/context.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import type { BodyReading } from '#http/body.ts'
import { bytesMaxOf, type JsonList, type JsonReading, readJson, toJson } from '#http/json-body.ts'

/**
 * Reads a request's JSON body; call it only for a caller who is known. Without a `list` it is one item, and bounded
 * as one.
 */
export async function readJsonBody(
  c: AdminContext,
  { bodyBytesMax, bodyBudget }: Pick<AdminParts, 'bodyBytesMax' | 'bodyBudget'>,
  list?: JsonList,
): Promise<JsonReading> {
  const refusal = whetherUnreadable(c)
  if (refusal) return { kind: 'refused', problem: refusal }
  const bounds = { bytesMax: bodyBytesMax, budget: bodyBudget, ...(list && { list }) }
  const incoming = c.env?.incoming
  if (incoming) return readJson(incoming, bounds)
  return toJson(await readWebBody(c.req.raw, bytesMaxOf(bounds)), bounds)
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
