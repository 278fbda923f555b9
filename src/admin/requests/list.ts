import { type AdminHandler, type AdminParts, answerJson, answerProblem } from '#admin/context.ts'
import { parseQuery } from '#admin/request/target.ts'
import type { BookedRequest, RequestPage } from '#core/booked-request.ts'
import { badInput } from '#core/issues.ts'
import { encodeRequestCursor } from './cursor.ts'
import { parseRequestQuery, type RequestQuery } from './query.ts'
import type { RequestAnswer } from './schemas.ts'

/** GET /admin/requests: what the ledger has of single requests, newest first. */
export const listRequests: AdminHandler = async (c, parts) => {
  const values = parseQuery(c.get('target').query)
  if (values.kind === 'invalid') return answerProblem(c, badInput([values]), parts.clock())
  const asked = parseRequestQuery(values.values, parts.policy.timeZone)
  if (asked.kind === 'invalid') return answerProblem(c, badInput(asked.issues), parts.clock())
  const { requests, next } = await read(asked.value, parts)
  const filter = asked.value.kind === 'page' ? asked.value.question.filter : {}
  return answerJson(c, {
    requests: requests.map(toAnswer),
    count: requests.length,
    ...(next !== undefined && { nextCursor: encodeRequestCursor({ filter, after: next }) }),
  })
}

async function read(query: RequestQuery, { store }: AdminParts): Promise<RequestPage> {
  if (query.kind === 'page') return store.requests.listRequests(query.question)
  const found = await store.requests.findRequest(query.id)
  return { requests: found ? [found] : [] }
}

function toAnswer({ userId, usage, extras, ...rest }: BookedRequest): RequestAnswer {
  return { ...rest, ...usage, ...extras, user: userId }
}
