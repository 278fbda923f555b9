import { z } from '@hono/zod-openapi'
import type { UserSchemas } from '#admin/users/schemas.ts'
import { lengthField, networksField, textField, wholeField } from '#admin/wire/fields.ts'
import { frontEndKinds, peopleMaxDefault, peopleMaxMost, userJwtHeader } from '#core/front-end.ts'

export type FrontEndSchemas = ReturnType<typeof createFrontEndSchemas>
export type FrontEndInput = z.output<FrontEndSchemas['input']>
export type FrontEndAnswer = z.input<FrontEndSchemas['answer']>

/** The size of the hash (RFC 7518, 3.2): a shorter key could be guessed. */
const secretLengthMin = 32
const secretLengthMax = 512

const headerPattern = '^[A-Za-z0-9-]{1,64}$'

/** A name in one of these would be a credential, an address, or the form of the request. */
const otherUse =
  /^(?:(?:proxy-)?authorization|(?:x-)?api-key|x-goog-api-key|x-auth-token|x-tollgate-key|cookie|host|connection|forwarded|x-forwarded-.*|x-real-ip|content-.*|transfer-encoding)$/i

const header = z
  .string()
  .regex(new RegExp(headerPattern), 'must be the name of a header')
  .refine((name) => !otherUse.test(name), 'is a header with another use')

/** The wire format of front ends, for one configuration of families. */
export function createFrontEndSchemas({ template }: Pick<UserSchemas, 'template'>) {
  const settings = {
    kind: z.enum(frontEndKinds).openapi({
      description:
        '`jwt`: a header holds a token, signed by HMAC SHA-256 with a shared secret; the person is its `sub`. ' +
        '`header`: a header holds the name. `member`: the body does, in the member of its protocol: `user` or ' +
        '`safety_identifier`, or `metadata.user_id`.',
    }),
    networks: networksField().min(1, 'must name one at least').optional().openapi({
      description: 'From where a name is believed; required for `header`. Absent: from anywhere.',
    }),
    expiresAfterDays: wholeField(1, 36_500)
      .optional()
      .openapi({ description: 'When a person expires, counted from the first request. Absent: never.' }),
  }
  // Strict: a misspelt member would let people ask who should not.
  const input = z
    .strictObject({
      ...settings,
      header: header.optional().openapi({
        description: `The header with the name; for \`jwt\` by default \`${userJwtHeader}\`.`,
        pattern: headerPattern,
      }),
      secret: textField(secretLengthMax)
        .refine(
          (text) => text.length >= secretLengthMin,
          `must be at least ${secretLengthMin} characters long`,
        )
        .optional()
        .openapi({
          description: 'The shared secret of `jwt`. It is never shown. Absent: the one that is stored.',
          minLength: secretLengthMin,
        }),
      required: z.boolean().optional().openapi({
        description: 'Whether a request without a person is refused; otherwise it is the front end’s own.',
      }),
      peopleMax: wholeField(1, peopleMaxMost)
        .optional()
        .openapi({ description: `How many people may become users; ${peopleMaxDefault} by default.` }),
      template: template.optional(),
    })
    .openapi('FrontEndEdit', { description: 'How a front end names the people that it asks for.' })
  const answer = z
    .object({
      ...settings,
      header: z.string().optional(),
      hasSecret: z.boolean(),
      required: z.boolean(),
      peopleMax: lengthField(),
      template: z.record(z.string(), z.unknown()),
      people: lengthField().openapi({ description: 'How many people have become users.' }),
    })
    .openapi('FrontEnd')
  return { input, answer, removed: z.object({ id: z.string() }).openapi('RemovedFrontEnd') }
}
