import { z } from '@hono/zod-openapi'
import { lengthField, lineField, networksField, timeField, timeInput } from '#admin/wire/fields.ts'
import { namePattern } from '#admin/wire/patterns.ts'
import { rotationBody } from '#admin/wire/previous-until.ts'
import { keyOverlapDaysMax } from '#core/admin-key.ts'
import { meaningOfScope, scopes } from '#core/scopes.ts'

/** The wire format of admin keys. */
export type KeyAnswer = z.input<typeof answer>

const scope = z.enum(scopes).openapi({
  description: scopes.map((each) => `\`${each}\`: ${meaningOfScope(each)}`).join(' '),
})

const answer = z
  .object({
    id: z.string().openapi({ description: 'Names the key in paths and in the log, and is no secret.' }),
    name: z.string(),
    scopes: z.array(scope),
    createdAt: timeField(),
    expiresAt: timeField().optional(),
    allowedNetworks: z
      .array(z.string())
      .optional()
      .openapi({ description: 'From where it is accepted; absent: from anywhere.' }),
    lastUsedAt: timeField()
      .optional()
      .openapi({ description: 'When it last opened something, to about a minute; absent: never.' }),
    rotatedAt: timeField()
      .optional()
      .openapi({ description: 'When it got its present secret by a rotation.' }),
    previousUntil: timeField()
      .optional()
      .openapi({ description: 'Until when the secret before the present one is accepted as well.' }),
    secondFactorAt: timeField().optional().openapi({
      description: 'Since when it opens sessions only, each with a code; absent: it has no second factor.',
    }),
    isDamaged: z.boolean().optional().openapi({
      description:
        'The stored row cannot be read: the key opens nothing, and can be deleted. What is unknown of it is empty, or 0.',
    }),
  })
  .openapi('AdminKey', { description: 'A key without its secret.' })

// Strict: a key made with a misspelt "scopes" or "expiresAt" would allow more, or live longer, than was meant.
const input = z
  .strictObject({
    name: lineField(80)
      .refine((text) => text.trim() !== '', 'must not be empty')
      .openapi({ minLength: 1, pattern: namePattern }),
    scopes: z
      .array(scope)
      .min(1, 'must name one at least')
      .optional()
      .openapi({ description: 'Absent: `admin` alone.' }),
    expiresAt: timeInput().nullish(),
    allowedNetworks: networksField().min(1, 'must name one at least').nullish().openapi({
      description: 'Addresses and networks from which the key is accepted; absent: from anywhere.',
    }),
  })
  .openapi('NewAdminKey')

const rotation = rotationBody('AdminKeyRotation', 'secret', keyOverlapDaysMax)

const created = answer
  .extend({ key: z.string().openapi({ description: 'The key itself. It is not shown again.' }) })
  .openapi('CreatedAdminKey')

export const keySchemas = {
  path: z.object({ id: z.string().openapi({ description: 'The key’s id, `adk_…`.' }) }),
  answer,
  input,
  rotation,
  created,
  list: z.object({ keys: z.array(answer), count: lengthField() }).openapi('AdminKeyList'),
  deleted: z.object({ id: z.string() }).openapi('DeletedAdminKey'),
}
