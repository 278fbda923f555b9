import { z } from '@hono/zod-openapi'
import {
  countField,
  lengthField,
  lineField,
  timeField,
  timeParameter,
  wholeParameter,
} from '#admin/wire/fields.ts'
import { actorKinds, changeKinds } from '#core/change.ts'

/** The wire format of changes. */
export type ChangeAnswer = z.input<typeof change>

export const auditFormats = ['json', 'ndjson', 'csv'] as const
export const changesDefault = 100
const changesMax = 500

export const auditQuerySchema = z.object({
  actor: lineField(64)
    .optional()
    .openapi({ description: 'The id of the key or user that wrote the change.' }),
  actorKind: z.enum(actorKinds).optional(),
  object: lineField(64).optional().openapi({ description: 'The id of what was changed.' }),
  kind: z.enum(changeKinds).optional(),
  from: timeParameter('Written at this instant or later.'),
  to: timeParameter('Written before this instant.'),
  limit: wholeParameter(changesMax, 4)
    .optional()
    .openapi({ default: changesDefault, description: 'Of a page; a file has all of them.' }),
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,15}$/, 'is not one that a list of changes gave')
    .optional()
    .openapi({ description: '`nextCursor` of the previous page, with the same filter.' }),
  format: z.enum(auditFormats).optional().openapi({
    description: 'A page as JSON, or all changes of the filter as a file: one object a line, or a table.',
  }),
})

const fields = z.record(z.string(), z.unknown())

const change = z
  .object({
    seq: countField().openapi({ description: 'The place in the order of changes, from 1.' }),
    at: timeField(),
    actor: z.object({
      kind: z.string(),
      id: z.string().optional(),
      name: z.string().optional(),
    }),
    kind: z.string(),
    object: z.string().openapi({ description: 'The id of what was changed.' }),
    before: fields
      .optional()
      .openapi({ description: 'What was changed, as it was: null where it was not set.' }),
    after: fields.optional().openapi({ description: 'The same as it is since. Secrets are masked.' }),
    requestId: z.string().optional(),
    address: z.string().optional(),
  })
  .openapi('Change', { description: 'What was changed, by whom and when.' })

export const changeListSchema = z
  .object({
    changes: z.array(change),
    count: lengthField(),
    nextCursor: z.string().optional().openapi({ description: 'Absent on the last page.' }),
  })
  .openapi('ChangeList')
