import { z } from '@hono/zod-openapi'
import {
  countField,
  countInput,
  limitField,
  lineField,
  metaField,
  tagsField,
  textField,
  timeField,
  timeInput,
} from '#admin/wire/fields.ts'
import { accessTokenForm } from '#admin/wire/patterns.ts'
import { userTypes } from '#core/user.ts'
import { limitAnswers, limitInputs } from './limit-fields.ts'

/**
 * The wire format of users: the contract's names, and ours beside them. The maps by family contain the operator's
 * families and the contract's four, so the schemas depend on the configuration.
 */
export type UserSchemas = ReturnType<typeof createUserSchemas>
export type UserInput = z.output<UserSchemas['edit']>
export type TemplateInput = z.output<UserSchemas['template']>
export type UserAnswer = z.input<UserSchemas['user']>
export type PartialAnswer = z.input<UserSchemas['partial']>
export type CreatedAnswer = z.input<UserSchemas['created']>

/** Members of answers that cannot be edited: a client may send back an answer that holds them. */
export const answeredBesides = { user: ['id'], list: ['count', 'total', 'nextCursor'] } as const

export function createUserSchemas(familyNames: readonly string[], hiddenAtFirst: readonly string[]) {
  const fields = editableFields(familyNames)
  const edit = z.object(fields).openapi('UserEdit', {
    description: 'What to change: absent leaves a field as it is, null clears one that may be absent.',
  })
  // The check says of each element what it lacks, with its place.
  const named = edit.openapi('UserUpsert', { required: ['token'] })
  const user = z.object(answeredFields(familyNames, hiddenAtFirst)).openapi('User', {
    description: 'Unset fields are absent, never null.',
  })
  const partial = user.partial().required({ id: true }).openapi('PartialUser', {
    description: 'What can be read of a user whose stored row is damaged.',
  })
  return {
    partial,
    created: z.object({ token: z.string(), id: z.string(), ignored: ignoredField() }).openapi('CreatedUser'),
    edit,
    template: templateOf(fields),
    bulk: z.object({ users: z.array(named) }).openapi('BulkUpsert'),
    user,
    written: user.extend({ ignored: ignoredField() }).openapi('WrittenUser'),
  }
}

/** What new users begin with. Strict, as a misspelt limit would be one without effect. */
function templateOf(fields: ReturnType<typeof editableFields>) {
  const { type, tokenLimits, adminNote, tags, meta } = fields
  return z
    .strictObject({ type, tokenLimits, ...limitInputs(), adminNote, tags, meta })
    .openapi('UserTemplate', { description: 'What each new user begins with.' })
}

/** The path parameter that names a user. */
export const userPath = z.object({
  token: z.string().openapi({ ...accessTokenForm, description: 'The user’s token, percent-encoded, or id.' }),
})

/** The list of ignored members in the answer to a body. */
export function ignoredField() {
  return z
    .array(z.string())
    .optional()
    .openapi({
      description:
        'Unknown members of the body, such as `tokenLimit` or `users[3].tokenLimit`; the first 100 of them. ' +
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
          'In a bulk: names the user. With a path it must be the token of the user in the path; it cannot ' +
          'change a token.',
      }),
    // Exports of other systems hold hashed addresses, which limits cannot use but an account may keep.
    ip: z
      .array(lineField(100))
      .nullish()
      .openapi({ description: 'Addresses of the user’s requests, newest last.' }),
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
    ...limitInputs(),
    adminNote: textField(10_000).nullish(),
    tags: tagsField().nullish().openapi({ description: 'All tags of the user; an empty list clears them.' }),
    meta: metaField().nullish(),
  }
}

function answeredFields(familyNames: readonly string[], hiddenAtFirst: readonly string[]) {
  const hidden = hiddenAtFirst.length === 0 ? '' : `; ${hiddenAtFirst.join(', ')} only where used or limited`
  return {
    token: z.string(),
    id: z.string().openapi({ description: 'Can replace the token in every path; not secret.' }),
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
    ...limitAnswers(),
    adminNote: z.string().optional(),
    tags: z.array(z.string()).optional(),
    meta: z.record(z.string(), z.unknown()).optional(),
  }
}

/** Strict: a misspelt family is an error, not a limit without effect. */
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
