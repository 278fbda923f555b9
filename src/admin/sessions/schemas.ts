import { z } from '@hono/zod-openapi'
import { secondFactorSchemas } from '#admin/second-factor/schemas.ts'
import { lengthField, timeField } from '#admin/wire/fields.ts'
import { permissions, scopes } from '#core/scopes.ts'

/** The wire format of sessions. */
export type SessionAnswer = z.input<typeof answer>

const answer = z
  .object({
    id: z.string().openapi({ description: 'Names the session in paths and in the log, and is no secret.' }),
    key: z.object({ id: z.string(), name: z.string() }).openapi({
      description:
        'The admin key that opened it. It ends with that key, and with the secret that opened it. Where a sign-on opened it, ' +
        'an id of the person (`sso_…`) and its name.',
    }),
    person: z
      .object({ subject: z.string(), groups: z.array(z.string()) })
      .optional()
      .openapi({
        description:
          'Where a sign-on opened it: the provider’s name for the person, and the groups that count.',
      }),
    scopes: z
      .array(z.enum(scopes))
      .openapi({ description: 'Those of the key or the groups, as they are now.' }),
    permissions: z.array(z.enum(permissions)).openapi({ description: 'What the scopes allow, one by one.' }),
    createdAt: timeField(),
    expiresAt: timeField(),
    idleUntil: timeField().openapi({ description: 'When it ends unless it is used before.' }),
    address: z.string().openapi({ description: 'Where the login came from.' }),
    isCurrent: z.boolean().openapi({ description: 'Whether this request belongs to it.' }),
  })
  .openapi('Session')

/** Strict: a member that is not read would be believed to work. */
const input = z
  .strictObject({ code: secondFactorSchemas.code.optional() })
  .openapi('NewSession', { description: 'A code, where the key has a second factor.' })

export const sessionSchemas = {
  input,
  path: z.object({
    id: z.string().openapi({ description: 'The session’s id, `ses_…`; `current` for that of this request.' }),
  }),
  answer,
  list: z.object({ sessions: z.array(answer), count: lengthField() }).openapi('SessionList'),
  ended: z.object({ id: z.string() }).openapi('EndedSession'),
}
