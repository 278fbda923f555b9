import { type Answer, written } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { streamRows } from '#admin/wire/stream-rows.ts'
import type { UsageQuestion } from '#core/usage-question.ts'
import { reportUsage, type UsageReport } from '#metering/usage-report.ts'
import { csvHead, csvLine } from './csv.ts'
import type { UsageQuery } from './query.ts'
import { usageReportSchema } from './schemas.ts'

/** A usage report in the API's description. */
export const reportAnswer = {
  csv: 'The rows as RFC 4180 has them, with a line of names: `format=csv`, or `Accept: text/csv`.',
  description: 'Rows, or the same as CSV',
  schema: usageReportSchema,
}

export async function answerReport(
  c: AdminContext,
  { store, policy }: AdminParts,
  { question, format }: UsageQuery,
): Promise<Answer> {
  const report = await reportUsage(store.usage, question)
  // CSV anywhere in the list counts: only a client that wants CSV names it.
  const isCsv =
    format === 'csv' || (format === undefined && /\btext\/csv\b/i.test(c.req.header('accept') ?? ''))
  return isCsv ? answerCsv(question, report) : answerJson(question, report, policy.timeZone)
}

function answerJson(
  { bucket, from, to, groupBy }: UsageQuestion,
  { rows, truncated }: UsageReport,
  timeZone: string,
): Answer {
  const about = JSON.stringify({ bucket, from, to, timeZone, groupBy })
  return written(
    streamRows(rows, {
      head: `${about.slice(0, -1)},"rows":[`,
      toText: (row) => JSON.stringify(row),
      between: ',',
      tail: `],"truncated":${truncated}}`,
    }),
  )
}

function answerCsv({ groupBy }: UsageQuestion, { rows, truncated }: UsageReport): Answer {
  const stream = streamRows(rows, {
    head: csvHead(groupBy),
    toText: (row) => csvLine(row, groupBy),
    between: '',
    tail: '',
  })
  return written(stream, {
    'content-type': 'text/csv; charset=utf-8; header=present',
    'content-disposition': 'attachment; filename="usage.csv"',
    // A CSV table has no other place for it.
    'x-truncated': String(truncated),
  })
}
