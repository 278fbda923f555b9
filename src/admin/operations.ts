import { type RouteConfig, z } from '@hono/zod-openapi'
import type { ErrorCode } from '#core/errors.ts'
import { listQuerySchema } from './list-query.ts'
import type { UserWire } from './user-wire.ts'

/** What the API's description says of one operation beyond its path. */
export type Operation = Pick<RouteConfig, 'summary' | 'description' | 'request'> & {
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

/** What is said of every operation, by its id; the routes themselves are listed in routes.ts. */
export function describeOperations({ schemas }: UserWire): Readonly<Record<string, Operation>> {
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
        'Creates the user where the token is not known; an unknown id is 404. Maps merge by family.',
      request: { params: schemas.path, headers: ifMatch, body: json(schemas.edit) },
      answer: user('The updated user'),
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
  }
}

const count = z.int().openapi({ format: 'int32' })
const idempotency = z.object({
  'Idempotency-Key': z.string().min(1).max(255).optional().openapi({
    description: 'The same key with the same body gets the same answer; with another body it is 409.',
  }),
})

function userList(user: z.ZodType) {
  const users = z.array(user)
  const paging = { nextCursor: z.string().optional(), total: z.int().optional() }
  return z.object({ users, count, ...paging }).openapi('UserList')
}

function upserted(user: z.ZodType) {
  return z.object({ upserted_users: z.array(user), count }).openapi('UpsertedUsers')
}
