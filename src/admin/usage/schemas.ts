import { z } from '@hono/zod-openapi'
import {
  countField,
  lineField,
  statusField,
  tagField,
  timeParameter,
  userIdField,
  wholeField,
  wholeParameter,
} from '#admin/wire/fields.ts'
import { usageBuckets, usageDimensions, userDimensions } from '#core/usage-question.ts'
import { bucketsMax, latestAsked } from '#metering/usage-range.ts'

const usageRowsDefault = 10_000
const usageRowsMax = 50_000
const usageFormats = ['json', 'csv'] as const

/** The parameters of both reports; `bucket`, `from`, `to` and `groupBy` are checked together elsewhere. */
const common = {
  bucket: z
    .string()
    .optional()
    .openapi({
      enum: [...usageBuckets],
      description:
        `Absent: what suits the length. At most ${bucketsMax.minute} minutes, ${bucketsMax.hour} hours or ${bucketsMax.day} days ` +
        'are answered. Days are those of the configured time zone. Minutes reach back 7 days, those of a single user 24 hours.',
    }),
  from: timeParameter('In the first bucket; absent: 24 hours before `to`.'),
  to: timeParameter('The first instant after the last bucket, whose whole is answered; absent: now.'),
  family: lineField(256).optional(),
  model: lineField(256).optional(),
  upstream: lineField(256)
    .optional()
    .openapi({ description: 'Empty: requests that were sent to no upstream, or to an unknown one.' }),
  status: z
    .string()
    .regex(/^(?:0|[1-5]\d\d)$/, 'must be an HTTP status, or 0')
    .transform(Number)
    .optional()
    .openapi({
      type: 'integer',
      minimum: 0,
      maximum: 599,
      not: { minimum: 1, maximum: 99 },
      description: 'The status sent to the client; 0 where the client left before.',
    }),
  limit: wholeParameter(usageRowsMax, 5).default(usageRowsDefault).openapi({ default: usageRowsDefault }),
  format: z
    .enum(usageFormats)
    .optional()
    .openapi({ description: '`Accept: text/csv` asks for CSV as well.' }),
}

const listed = (what: readonly string[]) =>
  z
    .string()
    .optional()
    .openapi({
      pattern: `^,*(?:(?:${what.join('|')})(?:,+|$))*$`,
      description: `Of ${what.join(', ')}, each once, with commas between; absent: all together.`,
    })

export const usageQuerySchema = z.object({
  ...common,
  groupBy: listed(usageDimensions),
  user: userIdField().optional().openapi({ description: 'A user’s id, also of a deleted user.' }),
  tag: tagField().optional().openapi({ description: 'Only of users who carry this tag now.' }),
})

/** The report of one user, who is named in the path. */
export const userUsageQuerySchema = z.object({
  ...common,
  groupBy: listed(usageDimensions.filter((dimension) => !userDimensions.includes(dimension))),
})

const instant = wholeField(0, latestAsked).openapi({ format: 'int64' })
const figure = countField()

export const usageReportSchema = z
  .object({
    bucket: z.enum(usageBuckets),
    from: instant,
    to: instant,
    timeZone: z.string(),
    groupBy: z.array(z.enum(usageDimensions)),
    rows: z
      .array(
        z.object({
          at: instant.openapi({ description: 'The bucket’s first instant, epoch milliseconds.' }),
          user: z.string().optional(),
          tag: z.string().optional().openapi({
            description:
              'As users are tagged now. Usage counts with each tag of its user, and with an empty one where it has no tag.',
          }),
          family: z.string().optional(),
          model: z.string().optional(),
          upstream: z.string().optional(),
          status: statusField().optional(),
          requests: figure,
          estimated: figure.openapi({
            description: 'Requests whose figures are estimates, not the provider’s.',
          }),
          input: figure.openapi({ description: 'Fresh input, neither read from nor written to a cache.' }),
          cacheRead: figure,
          cacheWritten: figure,
          output: figure.openapi({ description: 'Without reasoning.' }),
          reasoning: figure,
          units: figure.openapi({
            description: 'Units counted against quotas: the sum of all five, each by its weight at the time.',
          }),
        }),
      )
      .openapi({ description: 'Sorted by time, then by the groups; only buckets with usage have a row.' }),
    truncated: z.boolean().openapi({ description: 'Whether there were more rows than `limit`.' }),
  })
  .openapi('UsageReport')
