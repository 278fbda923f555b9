import type { Operation } from '#admin/operation.ts'
import { readQuery } from '#admin/request/query.ts'
import { answerReport, reportAnswer } from './answer.ts'
import { parseUsageQuery } from './query.ts'
import { usageQuerySchema } from './schemas.ts'

/** GET /admin/usage: the usage of all users, in buckets of time. */
export const readUsage: Operation = {
  need: 'usage:read',
  tag: 'Usage',
  summary: 'Usage of all users, in buckets of time',
  description:
    'All users together, or by user. Read from totals, so that it costs the same however many requests ' +
    'there were, and reaches back further than single requests are kept.',
  request: { query: usageQuerySchema },
  answer: reportAnswer,
  refusals: ['bad_request'],
  async handle(c, parts) {
    const known = { now: parts.clock(), timeZone: parts.policy.timeZone }
    const query = readQuery(c, (values) => parseUsageQuery(values, known))
    return query.kind === 'refused' ? query : answerReport(c, parts, query.value)
  },
}
