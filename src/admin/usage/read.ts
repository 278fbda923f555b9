import { type AdminContext, type AdminHandler, type AdminParts, answerProblem } from '#admin/context.ts'
import { parseQuery } from '#admin/request/target.ts'
import { readUserRef } from '#admin/users/input.ts'
import { streamRows } from '#admin/wire/stream-rows.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { toReading } from '#core/parsed.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { UsageQuestion } from '#core/usage-question.ts'
import { reportUsage, type UsageReport } from '#metering/usage-report.ts'
import { csvHead, csvLine } from './csv.ts'
import { parseUsageQuery, type UsageQuery } from './query.ts'

/** GET /admin/usage: what everybody used, in buckets of time. */
export const readUsage: AdminHandler = async (c, parts) => {
  const query = readQuery(c, parts)
  if (query.kind === 'refused') return answerProblem(c, query.problem, parts.clock())
  return answerReport(c, parts, query.value)
}

/** GET /admin/users/{token}/usage: what one user used. Of one who was removed: /admin/usage?user=usr_…. */
export const readUserUsage: AdminHandler = async (c, parts) => {
  const ref = readUserRef(c)
  const now = parts.clock()
  if (ref.kind === 'refused') return answerProblem(c, ref.problem, now)
  const user = await parts.store.users.findUser(ref.value, now)
  if (!user) return answerProblem(c, createProblem('not_found'), now)
  c.set('userId', user.id)
  const query = readQuery(c, parts, user.id)
  if (query.kind === 'refused') return answerProblem(c, query.problem, now)
  return answerReport(c, parts, query.value)
}

function readQuery(c: AdminContext, { clock, policy }: AdminParts, userId?: string): Reading<UsageQuery> {
  const values = parseQuery(c.get('target').query)
  if (values.kind === 'invalid') return refused(badInput([values]))
  const known = { now: clock(), timeZone: policy.timeZone, ...(userId !== undefined && { userId }) }
  return toReading(parseUsageQuery(values.values, known))
}

async function answerReport(
  c: AdminContext,
  { store, policy }: AdminParts,
  { question, format }: UsageQuery,
): Promise<Response> {
  const report = await reportUsage(store.usage, question)
  // A list of types in which CSV stands at all: nobody but who wants it names it.
  const isCsv =
    format === 'csv' || (format === undefined && /\btext\/csv\b/i.test(c.req.header('accept') ?? ''))
  return isCsv ? answerCsv(c, question, report) : answerJsonReport(c, question, report, policy.timeZone)
}

function answerJsonReport(
  c: AdminContext,
  { bucket, from, to, groupBy }: UsageQuestion,
  { rows, truncated }: UsageReport,
  timeZone: string,
): Response {
  const about = JSON.stringify({ bucket, from, to, timeZone, groupBy })
  const stream = streamRows(rows, {
    head: `${about.slice(0, -1)},"rows":[`,
    toText: (row) => JSON.stringify(row),
    between: ',',
    tail: `],"truncated":${truncated}}`,
  })
  return c.body(stream, 200, { 'content-type': 'application/json' })
}

function answerCsv(c: AdminContext, { groupBy }: UsageQuestion, { rows, truncated }: UsageReport): Response {
  const stream = streamRows(rows, {
    head: csvHead(groupBy),
    toText: (row) => csvLine(row, groupBy),
    between: '',
    tail: '',
  })
  return c.body(stream, 200, {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': 'attachment; filename="usage.csv"',
    // A table has no other place for it.
    'x-truncated': String(truncated),
  })
}
