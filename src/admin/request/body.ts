import type { AdminContext, AdminParts } from '#admin/context.ts'
import { refused } from '#core/reading.ts'
import type { BodyReading } from '#http/body.ts'
import { bytesMaxOf, type JsonList, type JsonReading, readJson, toJson, whyNotJson } from '#http/json-body.ts'

/**
 * Reads a request's JSON body; call it only for a caller who is known. Without a `list` it is one item, and bounded
 * as one.
 */
export async function readJsonBody(
  c: AdminContext,
  { bodyBytesMax, bodyBudget }: Pick<AdminParts, 'bodyBytesMax' | 'bodyBudget'>,
  list?: JsonList,
): Promise<JsonReading> {
  const header = (name: string) => c.req.header(name)
  const problem = hasBody(c) ? whyNotJson(header('content-type'), header('content-encoding')) : undefined
  if (problem) return refused(problem)
  const bounds = { bytesMax: bodyBytesMax, budget: bodyBudget, ...(list && { list }) }
  const incoming = c.env?.incoming
  if (incoming) return readJson(incoming, bounds)
  return toJson(await readWebBody(c.req.raw, bytesMaxOf(bounds)), bounds)
}

function hasBody(c: AdminContext): boolean {
  const length = c.req.header('content-length')
  if (length !== undefined) return Number(length) > 0
  return c.req.header('transfer-encoding') !== undefined || (!c.env?.incoming && c.req.raw.body !== null)
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
