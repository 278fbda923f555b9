import { type RouteConfig, z } from '@hono/zod-openapi'
import type { Answer } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { ErrorCode } from '#core/errors.ts'
import type { Need } from '#core/scopes.ts'

/** One operation of the API: its handler, and its description beyond the path. */
export interface Operation extends Pick<RouteConfig, 'summary' | 'description' | 'request'> {
  /** What the caller's key must allow: the guard of the route is made from it. */
  readonly need: Need
  /** `key`: a session does not open it. */
  readonly credential?: 'key'
  /** The heading under which it is listed; users by default. */
  readonly tag?: string
  readonly answer: {
    readonly description: string
    readonly schema: z.ZodType
    readonly hasEtag?: boolean
    /** Its media types; JSON by default. */
    readonly types?: readonly string[]
    /** What an answer in CSV holds, beside one in JSON; absent: the operation answers no CSV. */
    readonly csv?: string
    /** What an answer with an object a line holds, beside one in JSON; absent: the operation answers no lines. */
    readonly ndjson?: string
  }
  /** Its own refusals, beside those of every operation. */
  readonly refusals: readonly ErrorCode[]
  readonly handle: (c: AdminContext, parts: AdminParts) => Promise<Answer>
}

/** The refusals of every operation with a body. */
export const bodyRefusals: readonly ErrorCode[] = [
  'bad_request',
  'bad_json',
  'body_too_large',
  'unsupported_media_type',
]

export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { content: { 'application/json': { schema } } }
}

/** The query of an operation without parameters that refuses any parameter. */
export const noParameters = z.object({})

/**
 * The query parameters of an operation that refuses unknown ones: a client would believe that an ignored parameter
 * worked. Operations of the contract without parameters ignore the query, as they always did; operations of ours that
 * change much refuse it.
 */
export function parametersOf({ request }: Operation): readonly string[] | undefined {
  return request?.query instanceof z.ZodObject ? Object.keys(request.query.shape) : undefined
}
