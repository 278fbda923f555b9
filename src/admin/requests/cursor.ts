import { z } from '@hono/zod-openapi'
import { decodeCursor, encodeCursor } from '#admin/request/cursor.ts'
import { type RequestFilter, requestStates } from '#core/booked-request.ts'
import { isUserId } from '#core/user-id.ts'
import { present } from '#lib/present.ts'
import { latestAsked } from '#metering/usage-range.ts'

/** Where a list of requests continues. It carries the whole query, so that it cannot be used with another list. */
export interface RequestCursor {
  readonly filter: RequestFilter
  readonly after: string
}

const instant = z.int().min(0).max(latestAsked).optional()
const line = z.string().max(512).optional()

const encoded = z.strictObject({
  after: z.string().regex(/^[0-9a-z.]{1,64}$/),
  userId: z.string().refine(isUserId).optional(),
  from: instant,
  to: instant,
  state: z.enum(requestStates).optional(),
  status: z.int().min(0).max(999).optional(),
  code: line,
  family: line,
  model: line,
  upstream: line,
})

export function encodeRequestCursor({ filter, after }: RequestCursor): string {
  return encodeCursor({ ...filter, after })
}

/** Undefined where the text is not a cursor of this API. */
export function parseRequestCursor(text: string): RequestCursor | undefined {
  const parsed = encoded.safeParse(decodeCursor(text))
  if (!parsed.success) return undefined
  const { after, ...given } = parsed.data
  return { after, filter: present(given) }
}
