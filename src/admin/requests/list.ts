import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import type { AdminParts } from '#admin/request/context.ts'
import { readQuery } from '#admin/request/query.ts'
import type { BookedRequest, RequestPage } from '#core/booked-request.ts'
import { StoreFault } from '#storage/store.ts'
import { encodeRequestCursor } from './cursor.ts'
import { parseRequestQuery, type RequestQuery } from './query.ts'
import { type RequestAnswer, requestListSchema, requestQuerySchema } from './schemas.ts'

/** GET /admin/requests: single requests in the ledger, newest first. */
export const listRequests: Operation = {
  need: 'usage:read',
  tag: 'Usage',
  summary: 'Find single requests in the ledger',
  description:
    'Newest first, in pages. Only admitted requests have an entry; refused ones are in the log alone.',
  request: { query: requestQuerySchema },
  answer: { description: 'Requests', schema: requestListSchema },
  refusals: ['bad_request'],
  async handle(c, parts) {
    const asked = readQuery(c, (values) => parseRequestQuery(values, parts.policy.timeZone))
    if (asked.kind === 'refused') return asked
    const { requests, unreadable, next } = await read(asked.value, parts)
    if (unreadable)
      parts.log.error(
        { requestId: c.get('requestId'), unreadable },
        'entries that cannot be read were left out of a list',
      )
    const filter = asked.value.kind === 'page' ? asked.value.question.filter : {}
    return answered({
      requests: requests.map(toAnswer),
      count: requests.length,
      ...(next !== undefined && { nextCursor: encodeRequestCursor({ filter, after: next }) }),
    })
  },
}

async function read(query: RequestQuery, { store }: AdminParts): Promise<RequestPage> {
  if (query.kind === 'page') return store.requests.listRequests(query.question)
  try {
    const found = await store.requests.findRequest(query.id)
    return { requests: found ? [found] : [] }
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error
    return { requests: [], unreadable: [query.id] }
  }
}

function toAnswer({ userId, usage, extras, ...rest }: BookedRequest): RequestAnswer {
  return { ...rest, ...usage, ...extras, user: userId }
}
