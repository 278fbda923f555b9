import { type Parsed, toReading } from '#core/parsed.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { BodyReading } from '#http/body.ts'
import { bytesMaxOf, type JsonList, readJson, toJson, whyNotJson } from '#http/json-body.ts'
import { read } from '#lib/reading.ts'
import type { AdminContext, AdminParts } from './context.ts'

/**
 * Reads a request's JSON body; a missing body is an empty object. Call it only after authentication. Without a `list`
 * the body is one item, and limited to the size of one.
 */
export async function readJsonBody(
  c: AdminContext,
  { bodyBytesMax, bodyBudget }: Pick<AdminParts, 'bodyBytesMax' | 'bodyBudget'>,
  list?: JsonList,
): Promise<Reading<unknown>> {
  const header = (name: string) => c.req.header(name)
  const problem = hasBody(c) ? whyNotJson(header('content-type'), header('content-encoding')) : undefined
  if (problem) return refused(problem)
  const bounds = { bytesMax: bodyBytesMax, budget: bodyBudget, ...(list && { list }) }
  const incoming = c.env?.incoming
  const reading = incoming
    ? await readJson(incoming, bounds)
    : await toJson(await readWebBody(c.req.raw, bytesMaxOf(bounds)), bounds)
  return reading.kind === 'empty' ? read({}) : reading
}

/** Reads the body through its parser. */
export async function readParsed<T>(
  c: AdminContext,
  parts: AdminParts,
  parse: (value: unknown) => Parsed<T>,
): Promise<Reading<T>> {
  const body = await readJsonBody(c, parts)
  return body.kind === 'refused' ? body : toReading(parse(body.value))
}

function hasBody(c: AdminContext): boolean {
  const length = c.req.header('content-length')
  if (length !== undefined) return Number(length) > 0
  return c.req.header('transfer-encoding') !== undefined || (!c.env?.incoming && c.req.raw.body !== null)
}

/** The same limit for a request without a socket. */
async function readWebBody(request: Request, bytesMax: number): Promise<BodyReading> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) return { kind: 'too_large' }
    chunks.push(chunk)
  }
  return read(Buffer.concat(chunks))
}
