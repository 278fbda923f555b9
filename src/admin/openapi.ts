import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import type { AdminEnv } from '#admin/request/context.ts'
import { statusField } from '#admin/wire/fields.ts'
import { type ErrorCode, errorTable } from '#core/errors.ts'
import type { AdminRoute } from './routes.ts'

/** The OpenAPI 3.1 document of this API, made from the schemas that check the requests. */
export function describeApi(
  app: OpenAPIHono<AdminEnv>,
  routes: readonly AdminRoute[],
  version: string,
): object {
  const registry = app.openAPIRegistry
  registry.registerComponent('securitySchemes', 'adminKey', {
    type: 'http',
    scheme: 'bearer',
    description: 'An admin key: `Authorization: Bearer <admin key>`.',
  })
  registry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-tollgate-session',
    description:
      'The session of a browser, opened by `POST /admin/sessions`. It allows what its admin key allows, and only pages of this ' +
      'host may use it. Never together with an admin key.',
  })
  for (const route of routes) registry.registerPath(toRouteConfig(route))
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Tollgate admin API',
      version,
      description: introduction,
    },
    servers: [{ url: '/', description: 'This instance' }],
    security: [{ adminKey: [] }, { session: [] }],
    tags: [
      { name: 'Users', description: 'The accounts that may use the gateway, and what they may use of it.' },
      { name: 'Bulk actions', description: 'One action on many users: how far it has come, and undoing it.' },
      { name: 'Quotas', description: 'What is used and reserved, and what an administrator does about it.' },
      {
        name: 'Usage',
        description: 'What was used, by time, user, family, model, upstream and status; and single requests.',
      },
      { name: 'Audit', description: 'Who changed what, and when.' },
      { name: 'Settings', description: 'What the instance was started with.' },
      { name: 'Access tokens', description: 'What is done about one access token.' },
      { name: 'Claim links', description: 'Links that show an access token once, to its holder.' },
      { name: 'Admin keys', description: 'Who may administer, and which other gateways may ask here.' },
      { name: 'Sessions', description: 'Browsers that are logged in with an admin key.' },
    ],
  })
}

const introduction = [
  'Manages who may use the gateway, and how much. Every operation needs an admin key with a scope of its own (`admin` has them all), or the session of one.',
  'Times are epoch milliseconds; a body may also say one as text with its offset. A field that is not set is absent.',
  'In a body, absent leaves a field as it is and null clears it; members that are not known are ignored, and listed in',
  '`ignored`. A path takes a user’s token (percent-encoded) or id (`usr_…`).',
].join(' ')

const errorSchema = z
  .object({
    error: z.string().openapi({ description: 'What is wrong, for people.' }),
    code: z.string().openapi({ description: 'What is wrong, for programs.' }),
    issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    requestId: z.string().optional(),
  })
  .openapi('Error')

const problemSchema = errorSchema
  .extend({ type: z.string(), title: z.string(), status: statusField(), detail: z.string() })
  .openapi('Problem', { description: 'The same error in the format of RFC 9457.' })

const commonRefusals: readonly ErrorCode[] = [
  // An admin key and a session at once.
  'bad_request',
  'missing_credential',
  'unknown_admin_key',
  'session_ended',
  'forbidden',
  'address_not_allowed',
  'throttled',
  'internal',
  'store_unavailable',
]

function toRouteConfig(route: AdminRoute): RouteConfig {
  const { handle: _, operationId, need, credential, method, path, answer, refusals, tag, ...rest } = route
  const roles = need === 'any' ? [] : [need]
  const etag = z.string().openapi({ description: 'The user’s version, for If-Match.' })
  const headers = answer.hasEtag ? z.object({ ETag: etag }) : undefined
  const success = {
    description: answer.description,
    content: {
      ...Object.fromEntries(
        (answer.types ?? ['application/json']).map((type) => [type, { schema: answer.schema }]),
      ),
      ...(answer.ndjson !== undefined && {
        'application/x-ndjson': { schema: z.string().openapi({ description: answer.ndjson }) },
      }),
      ...(answer.csv !== undefined && {
        'text/csv': { schema: z.string().openapi({ description: answer.csv }) },
      }),
    },
    ...(headers && { headers }),
  }
  return {
    ...rest,
    operationId,
    method,
    path,
    tags: [tag ?? 'Users'],
    security: [{ adminKey: roles }, ...(credential === 'key' ? [] : [{ session: roles }])],
    responses: { 200: success, ...toResponses(refusals), 431: headersTooLarge },
  }
}

/** One response for each status, with the codes that it may carry. */
function toResponses(own: readonly ErrorCode[]): RouteConfig['responses'] {
  const byStatus = Map.groupBy(new Set([...commonRefusals, ...own]), (code) => errorTable[code].status)
  const content = {
    'application/json': { schema: errorSchema },
    'application/problem+json': { schema: problemSchema },
  }
  const entries = [...byStatus].map(([status, codes]) => {
    const description = codes.map((code) => `\`${code}\`: ${errorTable[code].message}`).join(' ')
    return [status, { description, content, ...(hasRetryAfter(status) && { headers: retryAfter }) }] as const
  })
  return Object.fromEntries(entries)
}

/** Answered before a path is known. */
const headersTooLarge = {
  description: '`bad_request`: The target and the headers are larger than 16 KiB together.',
  content: { 'application/json': { schema: errorSchema } },
}

const retryAfter = z.object({ 'Retry-After': z.string().openapi({ description: 'Whole seconds.' }) })

function hasRetryAfter(status: number): boolean {
  return status === 429 || status === 503
}
