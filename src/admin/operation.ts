import { type RouteConfig, z } from '@hono/zod-openapi'
import type { Answer } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { ErrorCode } from '#core/errors.ts'

/** One operation of the API: what it does, and what the API's description says of it beyond its path. */
export interface Operation extends Pick<RouteConfig, 'summary' | 'description' | 'request'> {
  /** Under which heading it stands; absent: users. */
  readonly tag?: string
  readonly answer: { readonly description: string; readonly schema: z.ZodType; readonly hasEtag?: boolean }
  /** Refusals of its own, beside those that every operation may give. */
  readonly refusals: readonly ErrorCode[]
  readonly handle: (c: AdminContext, parts: AdminParts) => Promise<Answer>
}

/** What every operation with a body may refuse. */
export const bodyRefusals: readonly ErrorCode[] = [
  'bad_request',
  'bad_json',
  'body_too_large',
  'unsupported_media_type',
]

export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { content: { 'application/json': { schema } } }
}

/** The query of an operation that takes no parameters, and says so to a request that sends one. */
export const noParameters = z.object({})

/**
 * The query parameters that an operation knows, where it takes any: another one would be thought to have worked.
 * Operations of the contract that take none ignore the query, as they always did; ours that change much refuse it.
 */
export function parametersOf({ request }: Operation): readonly string[] | undefined {
  return request?.query instanceof z.ZodObject ? Object.keys(request.query.shape) : undefined
}
