import { z } from '@hono/zod-openapi'
import { accessTokenForm } from '#admin/wire/patterns.ts'

/** The wire format of operations on access tokens. */
export const accessTokenSchemas = {
  // Strict: a body that names the user in another way would be answered 404.
  lookup: z
    .strictObject({
      token: z.string().openapi({ ...accessTokenForm, description: 'The access token, as it was found.' }),
    })
    .openapi('TokenLookup'),
}
