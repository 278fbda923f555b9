import { z } from '@hono/zod-openapi'
import { countField, limitField, timeField, wholeField } from '#admin/wire/fields.ts'
import { unknownFamily } from '#admin/wire/unknown-members.ts'
import { periods } from '#core/period.ts'
import { unitsMax } from '#core/units.ts'
import { isUserId } from '#core/user-id.ts'

/** The wire format of quotas. Bodies are strict: a misspelt `families` must not reset all of them. */
export type QuotaSchemas = ReturnType<typeof createQuotaSchemas>
export type QuotaAnswer = z.input<QuotaSchemas['quota']>

const usersDefault = 10_000
const usersMax = 100_000

export function createQuotaSchemas(familyNames: readonly string[]) {
  const family = z.enum(familyNames, {
    error: unknownFamily(familyNames),
  })
  const families = z
    .array(family)
    .min(1, 'must name a family; leave it out for all of them')
    .optional()
    .openapi({ description: 'Which families; absent: all.' })
  const familyQuota = z.object({
    family: z.string(),
    limit: countField()
      .optional()
      .openapi({ description: 'The limit in force: own or default, with added units. Absent: unlimited.' }),
    ownLimit: limitField().optional().openapi({ description: 'As set for this user; absent: the default.' }),
    extra: countField().openapi({ description: 'Added for this period only.' }),
    used: countField(),
    reserved: countField().openapi({ description: 'Units reserved by running requests.' }),
    openRequests: countField().openapi({ description: 'Running requests.' }),
    remaining: countField().optional().openapi({ description: 'Units that can still be reserved.' }),
    resetAt: timeField().optional().openapi({ description: 'When usage is reset to zero; absent: never.' }),
  })
  return {
    quota: z
      .object({
        period: z.enum(periods),
        resetAt: timeField().optional(),
        families: z.array(familyQuota),
      })
      .openapi('Quota'),
    reset: z.strictObject({ families }).openapi('QuotaReset'),
    addition: z
      .strictObject({
        family,
        units: wholeField(-unitsMax, unitsMax).openapi({
          format: 'int64',
          description: 'Added to the limit until the period ends; less than 0 takes back added units.',
        }),
      })
      .openapi('QuotaAddition'),
    resetAll: z
      .strictObject({
        families,
        cursor: z
          .string()
          .refine(isUserId, 'is not one that this operation gave')
          .optional()
          .openapi({ description: '`nextCursor` of the previous call.' }),
        limit: wholeField(1, usersMax).default(usersDefault).openapi({
          description: 'The maximum number of users in this call.',
        }),
      })
      .openapi('QuotaResetAll'),
    wasReset: z
      .object({
        users: countField().openapi({ description: 'How many users were reset.' }),
        nextCursor: z.string().optional().openapi({ description: 'Absent when all are done.' }),
      })
      .openapi('QuotasReset'),
  }
}
