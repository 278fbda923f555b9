import type { Operation } from '#admin/operation.ts'
import { readQuery } from '#admin/request/query.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { answerReport, reportAnswer } from './answer.ts'
import { parseUsageQuery } from './query.ts'
import { userUsageQuerySchema } from './schemas.ts'

/** GET /admin/users/{token}/usage: the usage of one user. For a deleted user: /admin/usage?user=usr_…. */
export const readUserUsage: Operation = {
  need: 'usage:read',
  tag: 'Usage',
  summary: 'Usage of one user, in buckets of time',
  request: { params: userPath, query: userUsageQuerySchema },
  answer: reportAnswer,
  refusals: ['bad_request', 'not_found', 'conflict'],
  handle: (c, parts) =>
    withNamedUser(c, parts, async ({ id }) => {
      const known = { now: parts.clock(), timeZone: parts.policy.timeZone, userId: id }
      const query = readQuery(c, (values) => parseUsageQuery(values, known))
      return query.kind === 'refused' ? query : answerReport(c, parts, query.value)
    }),
}
