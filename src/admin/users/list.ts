import {
  type AdminContext,
  type AdminHandler,
  type AdminParts,
  answerJson,
  answerProblem,
} from '#admin/context.ts'
import { parseQuery } from '#admin/request/target.ts'
import { badInput } from '#core/issues.ts'
import type { UserPage } from '#core/user-list.ts'
import type { Log } from '#http/log.ts'
import { encodeListCursor } from './cursor.ts'
import { type ListPageQuery, parseListQuery, toPageRequest } from './query.ts'
import { streamUsers } from './stream.ts'

/** GET /admin/users: everybody, streamed; or one page where a parameter asks for it. */
export const listUsers: AdminHandler = async (c, parts) => {
  const query = parseQuery(c.get('target').query)
  if (query.kind === 'invalid') return answerProblem(c, badInput([query]), parts.clock())
  const asked = parseListQuery(query.values)
  if (asked.kind === 'invalid') return answerProblem(c, badInput(asked.issues), parts.clock())
  return asked.value.kind === 'all' ? answerEverybody(c, parts) : answerPage(c, parts, asked.value)
}

/** Few enough that reading and unsealing a page does not hold up others. */
const streamPageSize = 200

async function answerEverybody(c: AdminContext, { store, clock, wire, log }: AdminParts): Promise<Response> {
  const requestId = c.get('requestId')
  const outgoing = c.env?.outgoing
  const page = async (after?: UserPage['next']) =>
    toldOf(
      await store.users.listUsers({ limit: streamPageSize, now: clock(), ...(after && { after }) }),
      log,
      requestId,
    )
  const stream = streamUsers({
    // Read before the status is sent, so that a store that is down is a 503 and not a list that breaks off.
    first: await page(),
    nextPage: page,
    toText: (user) => JSON.stringify(wire.toUser(user)),
    onFailure(error) {
      log.error({ err: error, requestId }, 'a list of users broke off')
      // A connection that ends without the last chunk is how a client learns that this is not the whole list.
      outgoing?.destroy()
      return outgoing ? 'cut' : 'open'
    },
  })
  return c.body(stream, 200, { 'content-type': 'application/json' })
}

/** A page, after the log was told of users who are missing from it. */
function toldOf(page: UserPage, log: Log, requestId: string): UserPage {
  const { unreadable } = page
  if (unreadable)
    log.error({ requestId, unreadable }, 'users whose rows cannot be read were left out of a list')
  return page
}

async function answerPage(
  c: AdminContext,
  { store, clock, wire, log }: AdminParts,
  query: ListPageQuery,
): Promise<Response> {
  const now = clock()
  const page = toldOf(await store.users.listUsers(toPageRequest(query, now)), log, c.get('requestId'))
  const total = query.cursor?.total ?? (await store.users.countUsers(query.filter, now))
  const { sort, filter } = query
  const nextCursor = page.next && encodeListCursor({ total, sort, filter, after: page.next })
  return answerJson(c, {
    users: page.users.map(wire.toUser),
    count: page.users.length,
    ...(nextCursor !== undefined && { nextCursor }),
    total,
  })
}
