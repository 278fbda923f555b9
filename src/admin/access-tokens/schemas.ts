import { z } from '@hono/zod-openapi'
import { timeField, timeInput } from '#admin/wire/fields.ts'
import { accessTokenForm } from '#admin/wire/patterns.ts'

/** The wire format of operations on access tokens. */
export const accessTokenSchemas = {
  // Strict: a body that names the user in another way would be answered 404.
  lookup: z
    .strictObject({
      token: z.string().openapi({ ...accessTokenForm, description: 'The access token, as it was found.' }),
    })
    .openapi('TokenLookup'),
  revealed: z.object({ token: z.string(), id: z.string() }).openapi('RevealedToken'),
  rotation: z.strictObject({ previousUntil: timeInput().nullish() }).openapi('TokenRotation', {
    description: 'Until when the present token is accepted as well, at most 7 days ahead; absent: no longer.',
  }),
  rotated: z
    .object({
      token: z.string().openapi({ description: 'The new one.' }),
      id: z.string(),
      previousUntil: timeField().optional().openapi({ description: 'When the one before ends.' }),
    })
    .openapi('RotatedToken'),
}
