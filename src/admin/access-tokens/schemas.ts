import { z } from '@hono/zod-openapi'
import { timeField } from '#admin/wire/fields.ts'
import { accessTokenForm } from '#admin/wire/patterns.ts'
import { rotationBody } from '#admin/wire/previous-until.ts'

/** How long an access token may work on beside the one after it. */
export const tokenOverlapDaysMax = 7

/** The wire format of operations on access tokens. */
export const accessTokenSchemas = {
  // Strict: a body that names the user in another way would be answered 404.
  lookup: z
    .strictObject({
      token: z.string().openapi({ ...accessTokenForm, description: 'The access token, as it was found.' }),
    })
    .openapi('TokenLookup'),
  revealed: z.object({ token: z.string(), id: z.string() }).openapi('RevealedToken'),
  rotation: rotationBody('TokenRotation', 'token', tokenOverlapDaysMax),
  rotated: z
    .object({
      token: z.string().openapi({ description: 'The new one.' }),
      id: z.string(),
      previousUntil: timeField().optional().openapi({ description: 'When the one before ends.' }),
    })
    .openapi('RotatedToken'),
}
