import { z } from '@hono/zod-openapi'

/** The wire format of second factors. */
const code = z
  .string()
  .max(64)
  .openapi({ description: 'Six digits of the app; to log in also a recovery code, which is good once.' })

export const secondFactorSchemas = {
  code,
  begun: z
    .object({
      secret: z
        .string()
        .openapi({ description: 'What the app is given, in base 32. It is not shown again.' }),
      uri: z
        .string()
        .openapi({ description: 'The same as an `otpauth:` URI, which apps read as a QR code.' }),
      recoveryCodes: z
        .array(z.string())
        .openapi({ description: 'Each is good once in place of a code. They are not shown again.' }),
    })
    .openapi('BegunSecondFactor'),
  // Strict: a misspelt member would be believed to work.
  confirmation: z.strictObject({ code }).openapi('SecondFactorConfirmation'),
  removal: z
    .strictObject({ code: code.optional() })
    .openapi('SecondFactorRemoval', { description: 'A code, where it is that of your own key.' }),
  none: z.strictObject({}).openapi('NoMembers', { description: 'Empty, or no body.' }),
  changed: z.object({ id: z.string() }).openapi('SecondFactorChanged', { description: 'The key’s id.' }),
}
