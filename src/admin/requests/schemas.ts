import { z } from '@hono/zod-openapi'
import { countField, lengthField, lineField, statusField, timeField } from '#admin/wire/fields.ts'
import { requestStates } from '#core/booked-request.ts'
import { isUserId } from '#core/user-id.ts'

/** Entries of the ledger on the wire. */
export type RequestAnswer = z.input<typeof requestSchema>

export const requestsDefault = 100
const requestsMax = 500
const limitMessage = `must be a whole number from 1 to ${requestsMax}`

const time = (what: string) =>
  z
    .string()
    .optional()
    .openapi({
      description: `${what} Epoch milliseconds, a date (its first instant in the configured time zone), or a time such as 2026-11-22T13:00:00Z.`,
    })

export const requestQuerySchema = z.object({
  id: z
    .string()
    .regex(/^(?:req|res|evt)_[0-9a-z]{24}(?:\.[1-9])?$/, 'must be the id of a request (req_…)')
    .optional()
    .openapi({ description: 'The one with that id, as `x-request-id` and the log say it. Stands alone.' }),
  user: z
    .string()
    .refine(isUserId, 'must be a user’s id (usr_…)')
    .optional()
    .openapi({ description: 'An id, also of a user who was removed.' }),
  state: z.enum(requestStates).optional(),
  status: z
    .string()
    .regex(/^(?:0|[1-9]\d\d)$/, 'must be an HTTP status, or 0')
    .transform(Number)
    .optional()
    .openapi({
      type: 'integer',
      minimum: 0,
      maximum: 999,
      description: 'That the client got; 0 where it was gone before.',
    }),
  code: z
    .string()
    .regex(/^[a-z_]{1,64}$/, 'must be a code of an error, or client_gone')
    .optional()
    .openapi({ description: 'Of an error, or `client_gone`.' }),
  family: lineField(256).optional(),
  model: lineField(256).optional(),
  upstream: lineField(256).optional().openapi({ description: 'Empty for what was sent to none.' }),
  from: time('Came in at this instant or later.'),
  to: time('Came in before this instant.'),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, limitMessage)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= requestsMax, limitMessage)
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: requestsMax, default: requestsDefault }),
  cursor: z.string().max(4000).optional().openapi({ description: '`nextCursor` of the page before.' }),
})

const figure = countField()

const requestSchema = z
  .object({
    id: z.string().openapi({
      description: 'Behind a point: what a request used of another family, as an entry beside its own.',
    }),
    user: z.string(),
    startedAt: timeField(),
    endedAt: timeField().optional(),
    route: z.string(),
    family: z.string(),
    model: z.string().openapi({ description: 'As it was asked for.' }),
    state: z.enum(requestStates).openapi({
      description: '`released` cost nothing; `abandoned` was left open by a process or a lease that ended.',
    }),
    status: statusField().optional(),
    code: z.string().optional().openapi({ description: 'Why it failed or was cut off; `client_gone`.' }),
    upstream: z.string().optional(),
    address: z.string().optional(),
    isEstimated: z.boolean().openapi({ description: 'Whether the figures are ours, not the provider’s.' }),
    hold: figure.openapi({ description: 'Units that it held of the quota while it ran.' }),
    input: figure.openapi({ description: 'Fresh input, neither read from nor written to a cache.' }),
    cacheRead: figure,
    cacheWritten: figure,
    output: figure.openapi({ description: 'Without reasoning.' }),
    reasoning: figure,
    units: figure.openapi({ description: 'What counts against the quota.' }),
    toolRequests: z
      .record(z.string(), figure)
      .optional()
      .openapi({ description: 'Requests of the tools that the provider itself ran, by tool.' }),
    cacheWritten1h: figure
      .optional()
      .openapi({ description: 'Of `cacheWritten`, what stays in the cache for an hour.' }),
    audioInput: figure.optional().openapi({ description: 'Parts of the units above, as the four are.' }),
    audioOutput: figure.optional(),
    imageInput: figure.optional(),
    imageOutput: figure.optional(),
    serviceTier: z
      .string()
      .optional()
      .openapi({ description: 'How the provider says it served it, in its own word: `default`, `flex` …' }),
    durationMs: figure.optional(),
    firstByteMs: figure.optional(),
  })
  .openapi('Request')

export const requestListSchema = z
  .object({
    requests: z.array(requestSchema).openapi({ description: 'Newest first.' }),
    count: lengthField(),
    nextCursor: z
      .string()
      .optional()
      .openapi({
        description:
          'Where it goes on. A page that has one may hold fewer requests than `limit`, or none: a page looks at a bounded ' +
          'number of entries.',
      }),
  })
  .openapi('RequestList')
