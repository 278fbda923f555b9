import { type RouteConfig, z } from '@hono/zod-openapi'
import { keySchemas } from '#admin/keys/schemas.ts'
import type { QuotaSchemas } from '#admin/quotas/schemas.ts'
import { requestListSchema, requestQuerySchema } from '#admin/requests/schemas.ts'
import { usageQuerySchema, usageReportSchema, userUsageQuerySchema } from '#admin/usage/schemas.ts'
import { listQuerySchema } from '#admin/users/query.ts'
import { ignoredField, type UserSchemas } from '#admin/users/schemas.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { lengthField } from '#admin/wire/fields.ts'
import type { ErrorCode } from '#core/errors.ts'

/** What the API's description says of one operation beyond its path. */
export type Operation = Pick<RouteConfig, 'summary' | 'description' | 'request'> & {
  /** Under which heading it stands; absent: users. */
  readonly tag?: string
  readonly answer: { readonly description: string; readonly schema: z.ZodType; readonly hasEtag?: boolean }
  /** Refusals of its own, beside those that every operation may give. */
  readonly refusals: readonly ErrorCode[]
}

const bodyRefusals: readonly ErrorCode[] = [
  'bad_request',
  'bad_json',
  'body_too_large',
  'unsupported_media_type',
]

/**
 * The query parameters that an operation knows, where it takes any: another one would be thought to have worked.
 * Operations of the contract that take none ignore the query, as they always did; ours that change much refuse it.
 */
export function parametersOf({ request }: Operation): readonly string[] | undefined {
  return request?.query instanceof z.ZodObject ? Object.keys(request.query.shape) : undefined
}

const noParameters = z.object({})

/** What is said of every operation, by its id; the routes themselves are listed in routes.ts. */
export function describeOperations({ schemas, quotas }: UserWire): Readonly<Record<string, Operation>> {
  const json = (schema: z.ZodType) => ({ content: { 'application/json': { schema } } })
  const ifMatch = z.object({
    'If-Match': z.string().optional().openapi({ description: 'An ETag that must still hold, or *.' }),
  })
  const user = (description: string) => ({ description, schema: schemas.user, hasEtag: true })
  return {
    getUsers: {
      summary: 'List all users',
      description:
        'Without parameters everybody, streamed. Any parameter asks for a page: `count` is then the length of ' +
        '`users`, `total` how many there are, `nextCursor` where it goes on.',
      request: { query: listQuerySchema },
      answer: { description: 'A list of users', schema: userList(schemas.user) },
      refusals: ['bad_request'],
    },
    createUser: {
      summary: 'Create a new user',
      description:
        'The body may be left out: that is a `normal` user. `temporary` needs a future `expiresAt`.',
      request: { headers: idempotency, body: json(schemas.edit) },
      answer: { description: 'The created user’s token', schema: schemas.created, hasEtag: true },
      refusals: [...bodyRefusals, 'conflict'],
    },
    bulkUpsertUsers: {
      summary: 'Bulk upsert users',
      description: 'All or none: one bad element changes nothing. Elements are applied in their order.',
      request: { body: { ...json(schemas.bulk), required: true } },
      answer: { description: 'The upserted users', schema: upserted(schemas.user) },
      refusals: bodyRefusals,
    },
    getUser: {
      summary: 'Get a user by token',
      request: { params: schemas.path },
      answer: user('A user'),
      refusals: ['bad_request', 'not_found'],
    },
    upsertUser: {
      summary: 'Update a user by token',
      description:
        'Creates the user where the token is not known; an unknown id is 404. Maps merge by family. A `token` in the ' +
        'body that is not the path’s is 400.',
      request: { params: schemas.path, headers: ifMatch, body: json(schemas.edit) },
      answer: { ...user('The updated user'), schema: schemas.written },
      refusals: [...bodyRefusals, 'not_found', 'precondition_failed'],
    },
    disableUser: {
      summary: 'Disables the user with the given token',
      description: 'A second time keeps the first `disabledAt`. PUT with `disabledAt: null` enables again.',
      request: {
        params: schemas.path,
        headers: ifMatch,
        query: z.object({ disabledReason: z.string().max(1000).optional() }),
      },
      answer: user('The disabled user'),
      refusals: ['bad_request', 'not_found', 'precondition_failed'],
    },
    ...quotaOperations(schemas, quotas.schemas),
    ...usageOperations(schemas),
    ...keyOperations,
  }
}

function quotaOperations(
  { path: params }: UserSchemas,
  schemas: QuotaSchemas,
): Readonly<Record<string, Operation>> {
  const json = (schema: z.ZodType) => ({ content: { 'application/json': { schema } } })
  const after = { description: 'The quotas after it', schema: schemas.quota }
  return {
    getQuota: {
      tag: 'Quotas',
      summary: 'How the quotas of a user stand',
      request: { params },
      answer: {
        description: 'Every family, limited or not; the built-in `other` where it was used or is limited',
        schema: schemas.quota,
      },
      refusals: ['bad_request', 'not_found'],
    },
    resetQuota: {
      tag: 'Quotas',
      summary: 'Count a user’s usage from zero',
      description:
        'What was used is taken out by an adjustment. What running requests hold stays, and so does what was added. ' +
        'An unknown field is an error here.',
      request: { params, query: noParameters, body: json(schemas.reset) },
      answer: after,
      refusals: [...bodyRefusals, 'not_found'],
    },
    addToQuota: {
      tag: 'Quotas',
      summary: 'Add to a limit for this period only',
      description:
        'It ends with the period. Less than 0 takes back what was added, and no more than that. 409 where the ' +
        'family is unlimited.',
      request: {
        params,
        query: noParameters,
        headers: idempotency,
        body: { ...json(schemas.addition), required: true },
      },
      answer: after,
      refusals: [...bodyRefusals, 'not_found', 'conflict'],
    },
    resetQuotas: {
      tag: 'Quotas',
      summary: 'Count all users from zero',
      description:
        'In small transactions, up to `limit` users in a call: call again with `nextCursor` until it is absent. ' +
        'Whoever stands at zero is passed over, so that repeating is harmless. An unknown field is an error here.',
      request: { query: noParameters, body: json(schemas.resetAll) },
      answer: { description: 'How far it came', schema: schemas.wasReset },
      refusals: bodyRefusals,
    },
  }
}

function usageOperations({ path: params }: UserSchemas): Readonly<Record<string, Operation>> {
  const answer = { description: 'Rows, or the same as CSV', schema: usageReportSchema }
  return {
    getUsage: {
      tag: 'Usage',
      summary: 'What was used, in buckets of time',
      description:
        'Of everybody together, or by user. Read from totals, so that it costs the same however many requests ' +
        'there were, and reaches back further than single requests are kept.',
      request: { query: usageQuerySchema },
      answer,
      refusals: ['bad_request'],
    },
    getUserUsage: {
      tag: 'Usage',
      summary: 'What one user used, in buckets of time',
      request: { params, query: userUsageQuerySchema },
      answer,
      refusals: ['bad_request', 'not_found'],
    },
    getRequests: {
      tag: 'Usage',
      summary: 'Find single requests in the ledger',
      description:
        'Newest first, in pages. Only what was admitted has an entry; what was refused before is in the log alone.',
      request: { query: requestQuerySchema },
      answer: { description: 'Requests', schema: requestListSchema },
      refusals: ['bad_request'],
    },
  }
}

const keyOperations: Readonly<Record<string, Operation>> = {
  getKeys: {
    tag: 'Admin keys',
    summary: 'List the admin keys',
    description: 'All of them, also those that have expired, and the configured one as `adk_environment`.',
    answer: { description: 'The keys, without their secrets', schema: keySchemas.list },
    refusals: [],
  },
  createKey: {
    tag: 'Admin keys',
    summary: 'Create an admin key',
    description:
      'The answer is the only time that the key itself is shown. An unknown field is an error here.',
    request: {
      body: { content: { 'application/json': { schema: keySchemas.input } }, required: true },
    },
    answer: { description: 'The key', schema: keySchemas.created },
    refusals: bodyRefusals,
  },
  deleteKey: {
    tag: 'Admin keys',
    summary: 'Delete an admin key',
    description:
      'From now on it opens nothing. The last key with the scope `admin` stays, unless `ADMIN_KEY` is configured.',
    request: { params: keySchemas.path },
    answer: { description: 'It is gone', schema: keySchemas.deleted },
    refusals: ['not_found', 'conflict'],
  },
}

const idempotency = z.object({
  'Idempotency-Key': z.string().min(1).max(255).optional().openapi({
    description: 'The same key with the same body gets the same answer; with another body it is 409.',
  }),
})

function userList(user: z.ZodType) {
  const users = z.array(user)
  const paging = { nextCursor: z.string().optional(), total: lengthField().optional() }
  return z.object({ users, count: lengthField(), ...paging }).openapi('UserList')
}

function upserted(user: z.ZodType) {
  return z
    .object({ upserted_users: z.array(user), count: lengthField(), ignored: ignoredField() })
    .openapi('UpsertedUsers')
}
