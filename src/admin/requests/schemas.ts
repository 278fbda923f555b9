import { z } from '@hono/zod-openapi'
import {
  countField,
  lengthField,
  lineField,
  statusField,
  timeField,
  timeParameter,
  userIdField,
  wholeParameter,
} from '#admin/wire/fields.ts'
import { requestStates } from '#core/booked-request.ts'

/** The wire format of ledger entries. */
export type RequestAnswer = z.input<typeof requestSchema>

export const requestsDefault = 100
const requestsMax = 500

export const requestQuerySchema = z.object({
  id: z
    .string()
    .regex(/^(?:req|res|evt)_[0-9a-z]{24}(?:\.[1-9])?$/, 'must be the id of a request (req_…)')
    .optional()
    .openapi({
      description:
        'The request with this id (`x-request-id`, also in the log). No other parameter is allowed.',
    }),
  user: userIdField().optional().openapi({ description: 'A user’s id, also of a deleted user.' }),
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
      not: { minimum: 1, maximum: 99 },
      description: 'The status sent to the client; 0 where the client left before.',
    }),
  code: z
    .string()
    .regex(/^[a-z_]{1,64}$/, 'must be a code of an error, or client_gone')
    .optional()
    .openapi({ description: 'The code of an error, or `client_gone`.' }),
  family: lineField(256).optional(),
  model: lineField(256).optional(),
  upstream: lineField(256)
    .optional()
    .openapi({ description: 'Empty: requests that were sent to no upstream.' }),
  from: timeParameter('Came in at this instant or later.'),
  to: timeParameter('Came in before this instant.'),
  limit: wholeParameter(requestsMax, 4).optional().openapi({ default: requestsDefault }),
  cursor: z.string().max(4000).optional().openapi({ description: '`nextCursor` of the previous page.' }),
})

const figure = countField()

const requestSchema = z
  .object({
    id: z.string().openapi({
      description: 'With a dot: the usage of another family within a request, as an entry beside its own.',
    }),
    user: z.string(),
    startedAt: timeField(),
    endedAt: timeField().optional(),
    route: z.string(),
    family: z.string(),
    model: z.string().openapi({ description: 'The model as requested.' }),
    state: z.enum(requestStates).openapi({
      description: '`released` cost nothing; `abandoned` was left open by a process or a lease that ended.',
    }),
    status: statusField().optional(),
    code: z
      .string()
      .optional()
      .openapi({ description: 'Why the request failed or was cut off, or `client_gone`.' }),
    upstream: z.string().optional(),
    address: z.string().optional(),
    isEstimated: z
      .boolean()
      .openapi({ description: 'Whether the figures are estimates, not the provider’s.' }),
    hold: figure.openapi({ description: 'Units reserved while the request ran.' }),
    input: figure.openapi({ description: 'Fresh input, neither read from nor written to a cache.' }),
    cacheRead: figure,
    cacheWritten: figure,
    output: figure.openapi({ description: 'Without reasoning.' }),
    reasoning: figure,
    units: figure.openapi({ description: 'Units counted against the quota.' }),
    toolRequests: z
      .record(z.string(), figure)
      .optional()
      .openapi({ description: 'Calls of tools that the provider ran itself, by tool.' }),
    cacheWritten1h: figure
      .optional()
      .openapi({ description: 'The part of `cacheWritten` that is cached for an hour.' }),
    audioInput: figure
      .optional()
      .openapi({ description: 'Audio and image figures are parts of the units above.' }),
    audioOutput: figure.optional(),
    imageInput: figure.optional(),
    imageOutput: figure.optional(),
    serviceTier: z
      .string()
      .optional()
      .openapi({ description: 'The provider’s own name for how it served the request: `default`, `flex` …' }),
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
          'The cursor of the next page. A page with one may hold fewer requests than `limit`, or none: a page checks a bounded ' +
          'number of entries.',
      }),
  })
  .openapi('RequestList')
