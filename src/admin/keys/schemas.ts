import { z } from '@hono/zod-openapi'
import { lengthField, lineField, timeField, timeInput } from '#admin/wire/fields.ts'
import { scopes } from '#core/admin-key.ts'

/** The wire format of admin keys. */
export type KeyAnswer = z.input<typeof answer>

const scope = z.enum(scopes).openapi({
  description: '`admin` allows this API, `verifier` the endpoints for other gateways.',
})

const answer = z
  .object({
    id: z.string().openapi({ description: 'Names the key in paths and in the log, and is no secret.' }),
    name: z.string(),
    scopes: z.array(scope),
    createdAt: timeField(),
    expiresAt: timeField().optional(),
    isDamaged: z.boolean().optional().openapi({
      description:
        'The stored row cannot be read: the key opens nothing, and can be deleted. What is unknown of it is empty, or 0.',
    }),
  })
  .openapi('AdminKey', { description: 'A key without its secret.' })

// Strict: a key made with a misspelt "scopes" or "expiresAt" would allow more, or live longer, than was meant.
const input = z
  .strictObject({
    name: lineField(80).refine((text) => text.trim() !== '', 'must not be empty'),
    scopes: z
      .array(scope)
      .min(1, 'must name one at least')
      .optional()
      .openapi({ description: 'Absent: `admin` alone.' }),
    expiresAt: timeInput().nullish(),
  })
  .openapi('NewAdminKey')

const created = answer
  .extend({ key: z.string().openapi({ description: 'The key itself. It is not shown again.' }) })
  .openapi('CreatedAdminKey')

export const keySchemas = {
  path: z.object({ id: z.string().openapi({ description: 'The key’s id, `adk_…`.' }) }),
  input,
  created,
  list: z.object({ keys: z.array(answer), count: lengthField() }).openapi('AdminKeyList'),
  deleted: z.object({ id: z.string() }).openapi('DeletedAdminKey'),
}
