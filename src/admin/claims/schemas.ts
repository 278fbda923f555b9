import { z } from '@hono/zod-openapi'
import { userPath } from '#admin/users/schemas.ts'
import { lengthField, timeField, wholeField } from '#admin/wire/fields.ts'
import { claimStates } from '#core/claim.ts'

const minuteMs = 60_000
const dayMinutes = 24 * 60
const validDaysMax = 30
/** As long as an access token may work on beside the one after it. */
const graceDaysMax = 7

/** The wire format of links that show an access token once. */
export type ClaimAnswer = z.input<typeof answer>

const answer = z
  .object({
    id: z
      .string()
      .openapi({ description: 'Names the link in paths and in the audit trail, and opens nothing.' }),
    state: z.enum(claimStates).openapi({
      description:
        '`revoked`: by `DELETE`, by a newer link, or because the secret with which it was made is no longer accepted.',
    }),
    createdAt: timeField(),
    expiresAt: timeField(),
    rotate: z
      .boolean()
      .openapi({ description: 'Whether the access token is made anew when the link is used.' }),
    graceMinutes: wholeField(0, graceDaysMax * dayMinutes)
      .optional()
      .openapi({ description: 'How long the access token before works on; with `rotate` only.' }),
    usedAt: timeField().optional(),
    revokedAt: timeField().optional(),
  })
  .openapi('Claim', { description: 'A link without its code.' })

// Strict: a link made with a misspelt "validMinutes" would be open for longer than was meant.
const input = z
  .strictObject({
    validMinutes: wholeField(1, validDaysMax * dayMinutes)
      .nullish()
      .openapi({
        description: 'How long the link is open; absent: a day. It ends with your key at the latest.',
      }),
    rotate: z
      .boolean()
      .nullish()
      .openapi({
        description:
          'Makes the access token anew when the link is used, so that it was shown to the holder alone. Needs `users:write` ' +
          'as well.',
      }),
    graceMinutes: wholeField(0, graceDaysMax * dayMinutes)
      .nullish()
      .openapi({
        description: 'With `rotate`: how long the access token before works on from then; absent: no longer.',
      }),
  })
  .openapi('NewClaim')

export const claimSchemas = {
  path: userPath.extend({ id: z.string().openapi({ description: 'The link’s id, `clm_…`.' }) }),
  answer,
  input,
  created: answer
    .extend({
      link: z.string().openapi({
        description:
          'For the holder, and shown this once. It lets its reader see the access token as long as it is open. Its code ' +
          'stands after the `#`, which browsers send to no server.',
      }),
    })
    .openapi('CreatedClaim'),
  list: z.object({ claims: z.array(answer), count: lengthField() }).openapi('ClaimList'),
}

export { dayMinutes, minuteMs }
