import { z } from '@hono/zod-openapi'
import { tokenOverlapDaysMax } from '#admin/access-tokens/schemas.ts'
import { filterParameters } from '#admin/users/filter.ts'
import {
  lengthField,
  tagsField,
  textField,
  timeField,
  timeInput,
  userIdField,
  wholeField,
} from '#admin/wire/fields.ts'
import { bulkStates } from '#core/bulk-run.ts'
import { instantMax } from '#core/instant.ts'
import { limitRows } from '#core/limits.ts'
import { unitsMax } from '#core/units.ts'
import { userTypes } from '#core/user.ts'

const limitNames = ['tokenLimits', ...limitRows.map(([name]) => name)]

/** What may be done to many users at once. Strict: a misspelt member would be an action without effect. */
const actions = [
  z.strictObject({ kind: z.literal('disable'), reason: textField(1000).optional() }),
  z.strictObject({ kind: z.literal('enable') }),
  z.strictObject({ kind: z.literal('type'), type: z.enum(userTypes) }),
  z.strictObject({
    kind: z.literal('setLimits'),
    limits: z.record(z.string(), z.unknown()).openapi({
      properties: Object.fromEntries(limitNames.map((name) => [name, {}])),
      additionalProperties: false,
      description:
        '`tokenLimits` and the limits of a user, as PUT takes them; null returns one to the default.',
    }),
  }),
  z.strictObject({
    kind: z.literal('addToLimits'),
    tokenLimits: z.record(z.string(), wholeField(-unitsMax, unitsMax)).openapi({
      description:
        'Units by family, added for good to the limit that applies; users without one stay as they are.',
    }),
  }),
  z
    .strictObject({
      kind: z.literal('extend'),
      days: wholeField(1, 36_500)
        .optional()
        .openapi({ description: 'From the expiry, or from now if that is past.' }),
      until: timeInput().optional(),
    })
    .openapi({ oneOf: [{ required: ['days'] }, { required: ['until'] }] }),
  z.strictObject({ kind: z.literal('resetUsage'), families: z.array(z.string()).max(256).optional() }),
  z.strictObject({
    kind: z.literal('rotate'),
    previousUntil: timeInput()
      .nullish()
      .openapi({
        description: `Until when the present tokens are accepted as well, at most ${tokenOverlapDaysMax} days ahead; absent: no longer.`,
      }),
  }),
  z.strictObject({ kind: z.literal('purge') }),
  z.strictObject({ kind: z.literal('tag'), add: tagsField().optional(), remove: tagsField().optional() }),
] as const

const filterNames = Object.keys(filterParameters)

/** The parameters of the list, by their names; numbers may be numbers. */
const filter = z
  .record(z.string(), z.union([z.string(), wholeField(0, instantMax).transform(String)]))
  .openapi({
    properties: Object.fromEntries(
      filterNames.map((name) => [
        name,
        { anyOf: [{ type: 'string' }, { type: 'integer', minimum: 0, maximum: instantMax }] },
      ]),
    ),
    additionalProperties: false,
    description: `The parameters of the list: ${filterNames.join(', ')}. Empty: all users.`,
  })

export const bulkSchemas = {
  body: z
    .strictObject({
      action: z.discriminatedUnion('kind', actions),
      ids: z.array(userIdField()).min(1).optional(),
      filter: filter.optional(),
      dryRun: z.boolean().optional(),
      confirm: lengthField().optional().openapi({
        description:
          'For `purge` alone, and needed there: `matched` of the dry run. Another number of users is 409.',
      }),
    })
    .openapi('BulkAction', {
      description: 'One action on the users of a list of ids, or of a filter.',
      oneOf: [{ required: ['ids'] }, { required: ['filter'] }],
    }),
  none: z.strictObject({}),
  path: z.object({ id: z.string() }),
  run: z
    .object({
      id: z.string().optional().openapi({ description: 'Absent in a dry run.' }),
      dryRun: z.boolean(),
      state: z.enum(bulkStates).optional(),
      action: z.unknown(),
      by: z.string().optional().openapi({ description: 'The name of the admin key.' }),
      matched: lengthField(),
      changed: lengthField().optional(),
      unchanged: lengthField().optional(),
      failed: lengthField().optional(),
      undone: lengthField().optional(),
      kept: lengthField()
        .optional()
        .openapi({ description: 'Not undone, since it was changed again meanwhile.' }),
      errors: z
        .array(z.object({ user: z.string(), path: z.string(), message: z.string() }))
        .optional()
        .openapi({ description: 'The first 100.' }),
      createdAt: timeField().optional(),
      undoUntil: timeField().optional().openapi({ description: 'Absent where nothing can be undone.' }),
      users: z
        .array(
          z.object({
            id: z.string(),
            nickname: z.string().optional(),
            changes: z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown() })),
          }),
        )
        .optional()
        .openapi({ description: 'Of a dry run: the first 100 users, and what would change.' }),
    })
    .openapi('BulkRun'),
}

export type BulkAction = z.output<(typeof bulkSchemas)['body']>['action']
