import { z } from '@hono/zod-openapi'
import { timeField } from '#admin/wire/fields.ts'

/** The wire format of a purge. Strict: the body is the confirmation, and nothing in it may be overlooked. */
export const purgeSchemas = {
  body: z
    .strictObject({ id: z.string().openapi({ description: 'The id of the user, once more.' }) })
    .openapi('Purge', { description: 'Names the user a second time: a purge cannot be undone.' }),
  purged: z
    .object({
      id: z.string(),
      purgedAt: timeField().openapi({ description: 'When it was purged first.' }),
      complete: z.boolean().openapi({
        description: 'Whether changes and requests are done with as well; upkeep goes on with the rest.',
      }),
    })
    .openapi('PurgedUser'),
}
