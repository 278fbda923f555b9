import { z } from '@hono/zod-openapi'
import {
  countField,
  countInput,
  daysField,
  limitField,
  lineField,
  metaField,
  modelsField,
  networksField,
  textField,
  timeField,
  timeInput,
} from '#admin/wire/fields.ts'
import { periods } from '#core/period.ts'
import { ipLimitActions, userTypes } from '#core/user.ts'

/**
 * Users on the wire, by the contract's names and ours beside them. The maps by family know the operator's
 * families and the contract's four, so that the schemas are made for a configuration.
 */
export type UserSchemas = ReturnType<typeof createUserSchemas>
export type UserInput = z.output<UserSchemas['edit']>
export type UserAnswer = z.input<UserSchemas['user']>
export type CreatedAnswer = z.input<UserSchemas['created']>

/** Members of answers that are not edited: an answer that is put back holds them. */
export const answeredBesides = { user: ['id'], list: ['count', 'total', 'nextCursor'] } as const

export function createUserSchemas(familyNames: readonly string[], hiddenAtFirst: readonly string[]) {
  const edit = z.object(editableFields(familyNames)).openapi('UserEdit', {
    description: 'What to change: absent leaves a field as it is, null clears one that may be absent.',
  })
  const user = z.object(answeredFields(familyNames, hiddenAtFirst)).openapi('User', {
    description: 'A field that is not set is absent, never null.',
  })
  return {
    created: z.object({ token: z.string(), id: z.string(), ignored: ignoredField() }).openapi('CreatedUser'),
    edit,
    bulk: z.object({ users: z.array(edit) }).openapi('BulkUpsert'),
    user,
    written: user.extend({ ignored: ignoredField() }).openapi('WrittenUser'),
  }
}

/** The parameters of a path that names a user. */
export const userPath = z.object({
  token: z.string().openapi({ description: 'The user’s token, percent-encoded, or id.' }),
})

/** In the answer to a body. */
export function ignoredField() {
  return z
    .array(z.string())
    .optional()
    .openapi({
      description:
        'Members of the body that are not known, such as `tokenLimit` or `users[3].tokenLimit`; the first 100 of them. ' +
        'Absent where every member is known.',
    })
}

function editableFields(familyNames: readonly string[]) {
  const counts = mapByFamily(
    familyNames,
    countInput().optional(),
    'TokenCountEdit',
    'Units used in the current period.',
  )
  const limits = mapByFamily(
    familyNames,
    limitField().nullish(),
    'TokenLimitEdit',
    'Quota limits; merged by family.',
  )
  return {
    token: z
      .string()
      .optional()
      .openapi({
        description:
          'In a bulk: whose user this is. With a path it has to be the token of the user whom the path names; it ' +
          'changes no token.',
      }),
    // Exports of other systems hold hashed addresses, which limits cannot use but an account may keep.
    ip: z
      .array(lineField(100))
      .nullish()
      .openapi({ description: 'Addresses the user came from, newest last.' }),
    nickname: lineField(80).nullish(),
    type: z.enum(userTypes).optional(),
    promptCount: countInput().optional(),
    tokenLimits: limits.nullish(),
    tokenCounts: counts.optional(),
    createdAt: timeInput().optional(),
    lastUsedAt: timeInput().nullish(),
    disabledAt: timeInput().nullish(),
    disabledReason: textField(1000).nullish(),
    expiresAt: timeInput().nullish(),
    requestsPerMinute: limitField().nullish(),
    concurrentRequests: limitField().nullish(),
    maxIps: limitField().nullish(),
    ipWindowDays: daysField().nullish(),
    ipLimitAction: z.enum(ipLimitActions).nullish(),
    allowedNetworks: networksField().nullish(),
    allowedModels: modelsField().nullish(),
    period: z.enum(periods).nullish(),
    adminNote: textField(10_000).nullish(),
    meta: metaField().nullish(),
  }
}

function answeredFields(familyNames: readonly string[], hiddenAtFirst: readonly string[]) {
  const hidden = hiddenAtFirst.length === 0 ? '' : `; ${hiddenAtFirst.join(', ')} only where used or limited`
  return {
    token: z.string(),
    id: z.string().openapi({ description: 'Stands for the token in every path, and is no secret.' }),
    ip: z.array(z.string()),
    nickname: z.string().optional(),
    type: z.enum(userTypes),
    promptCount: countField(),
    tokenLimits: mapByFamily(familyNames, limitField().optional(), 'TokenLimits', 'Those that were set.'),
    tokenCounts: mapByFamily(
      familyNames,
      countField(),
      'TokenCount',
      `Units used in the current period, by family${hidden}.`,
      hiddenAtFirst,
    ),
    createdAt: timeField(),
    lastUsedAt: timeField().optional(),
    disabledAt: timeField().optional(),
    disabledReason: z.string().optional(),
    expiresAt: timeField().optional(),
    requestsPerMinute: limitField().optional(),
    concurrentRequests: limitField().optional(),
    maxIps: limitField().optional(),
    ipWindowDays: daysField().optional(),
    ipLimitAction: z.enum(ipLimitActions).optional(),
    allowedNetworks: z.array(z.string()).optional(),
    allowedModels: z.array(z.string()).optional(),
    period: z.enum(periods).optional(),
    adminNote: z.string().optional(),
    meta: z.record(z.string(), z.unknown()).optional(),
  }
}

/** Strict, so that a family that is misspelt is an error and not a limit that never works. */
function mapByFamily<Value extends z.ZodType>(
  familyNames: readonly string[],
  value: Value,
  name: string,
  description: string,
  optional: readonly string[] = [],
) {
  const shape: Record<string, Value | z.ZodOptional<Value>> = Object.fromEntries(
    familyNames.map((family) => [family, optional.includes(family) ? value.optional() : value]),
  )
  return z.strictObject(shape).openapi(name, { description })
}
