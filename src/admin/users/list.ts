import { z } from '@hono/zod-openapi'
import type { Operation } from '#admin/operation.ts'
import { type Answer, answered, written } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { cutOnFailure, logUnreadable } from '#admin/request/long-answer.ts'
import { readQuery } from '#admin/request/query.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { lengthField } from '#admin/wire/fields.ts'
import type { UserPage } from '#core/user-list.ts'
import { encodeListCursor } from './cursor.ts'
import { type ListPageQuery, listQuerySchema, parseListQuery, toPageRequest } from './query.ts'
import { streamUsers } from './stream.ts'
import type { UserWire } from './wire.ts'

/** GET /admin/users: all users, streamed; or one page where a parameter asks for it. */
export function listUsers(wire: UserWire): Operation {
  return {
    need: 'users:read',
    summary: 'List all users',
    description:
      'Without parameters all users, streamed. Any parameter asks for a page: `count` is then the length of ' +
      '`users`, `total` how many there are, `nextCursor` where it goes on.',
    request: { query: listQuerySchema },
    answer: { description: 'A list of users', schema: userList(wire.schemas.user) },
    refusals: ['bad_request'],
    async handle(c, parts) {
      const known = { timeZone: parts.policy.timeZone, familyNames: wire.familyNames }
      const asked = readQuery(c, (values) => parseListQuery(values, known))
      if (asked.kind === 'refused') return asked
      return asked.value.kind === 'all' ? answerEverybody(c, parts) : answerPage(c, parts, wire, asked.value)
    },
  }
}

function userList(user: z.ZodType) {
  const users = z.array(user)
  const paging = { nextCursor: z.string().optional(), total: lengthField().optional() }
  return z.object({ users, count: lengthField(), ...paging }).openapi('UserList')
}

/** The first users are soon there; further pages are larger, for which no request waits longer than for a short list. */
const firstPages = { users: 400, size: 200 }
const pageSize = 500

async function answerEverybody(c: AdminContext, { store, clock, log }: AdminParts): Promise<Answer> {
  const { isMasked } = tokenSightOf(c)
  if (!isMasked) c.set('tokensShown', 'all')
  const page = async (read: number, after?: UserPage['next']) => {
    const limit = read < firstPages.users ? firstPages.size : pageSize
    const request = { limit, now: clock(), isMasked, ...(after && { after }) }
    return logUnreadable(await store.users.listUserTexts(request), c, log, leftOut)
  }
  const stream = streamUsers({
    // Read before the status is sent, so that an unavailable store gives a 503 and not a list that breaks off.
    first: await page(0),
    nextPage: page,
    onFailure: cutOnFailure(c, log, 'a list of users broke off'),
  })
  return written(stream)
}

const leftOut = 'users whose rows cannot be read were left out of a list'

async function answerPage(
  c: AdminContext,
  { store, clock, log }: AdminParts,
  wire: UserWire,
  query: ListPageQuery,
): Promise<Answer> {
  const now = clock()
  const sight = tokenSightOf(c)
  const page = logUnreadable(await store.users.listUsers(toPageRequest(query, now)), c, log, leftOut)
  if (!sight.isMasked)
    c.set(
      'tokensShown',
      page.users.map(({ id }) => id),
    )
  const total = query.cursor?.total ?? (await store.users.countUsers(query.filter, now))
  const { sort, filter } = query
  const nextCursor = page.next && encodeListCursor({ total, sort, filter, after: page.next })
  return answered({
    users: page.users.map((user) => wire.toUser(user, sight)),
    count: page.users.length,
    ...(nextCursor !== undefined && { nextCursor }),
    total,
  })
}
