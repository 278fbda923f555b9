import { z } from '@hono/zod-openapi'
import { lineField, tagField, timeParameter, wholeParameter } from '#admin/wire/fields.ts'
import { tagsPattern } from '#admin/wire/patterns.ts'
import { unknownFamily } from '#admin/wire/unknown-members.ts'
import type { Parsed } from '#core/parsed.ts'
import { userTypes } from '#core/user.ts'
import { addressesMax } from '#core/user-edit.ts'
import type { UserFilter } from '#core/user-list.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { parseAskedTime } from '#metering/usage-range.ts'
import { percentMax, tagsAskedMax, userStates } from './cursor.ts'

/** What the texts of a filter are read with. */
export interface FilterParts {
  readonly timeZone: string
  readonly familyNames: readonly string[]
}

/** The parameters that narrow a list of users, of the list itself, of an export and of a bulk action. */
export const filterParameters = {
  q: lineField(200).optional().openapi({
    description: 'Part of a nickname, an id, the visible part of a token, a tag, the note or the meta.',
  }),
  type: z.enum(userTypes).optional(),
  state: z.enum(userStates).optional(),
  tag: z
    .string()
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(tagField()).max(tagsAskedMax, `must be at most ${tagsAskedMax} tags`))
    .optional()
    .openapi({
      type: 'string',
      pattern: tagsPattern(tagsAskedMax),
      description: `A tag, or up to ${tagsAskedMax} with commas between: users who carry all of them.`,
    }),
  usedFrom: timeParameter('Used last at this instant or later.'),
  usedBefore: timeParameter('Used last before this instant, or never.'),
  usedPercent: wholeParameter(percentMax, 9).optional().openapi({
    description: 'At least this share of a limited quota of the current period is used, in percent.',
  }),
  family: lineField(256).optional().openapi({ description: 'With `usedPercent`: of this family only.' }),
  run: lineField(64).optional().openapi({
    description:
      'Users whom this bulk action (blk_…) has changed; for a day at least, and until it is undone.',
  }),
  addresses: wholeParameter(addressesMax, 9)
    .optional()
    .openapi({ description: 'At least as many addresses are kept.' }),
}

type FilterFields = {
  readonly [Name in keyof typeof filterParameters]?: z.output<(typeof filterParameters)[Name]>
}

/** The filter that checked parameters describe. */
export function toFilter(fields: FilterFields, { timeZone, familyNames }: FilterParts): Parsed<UserFilter> {
  const { q, type, state, tag, usedPercent, family, addresses, run } = fields
  const times = { usedFrom: fields.usedFrom, usedBefore: fields.usedBefore }
  const filter: { -readonly [Name in keyof UserFilter]: UserFilter[Name] } = {}
  const issues = []
  for (const [name, text] of Object.entries(times)) {
    if (text === undefined) continue
    const at = parseAskedTime(name, text, timeZone)
    if (at.kind === 'invalid') issues.push(...at.issues)
    else filter[name === 'usedFrom' ? 'usedFrom' : 'usedBefore'] = at.value
  }
  if (family !== undefined && usedPercent === undefined)
    issues.push({ path: 'family', message: 'goes with usedPercent only' })
  else if (family !== undefined && !familyNames.includes(family))
    issues.push({ path: 'family', message: unknownFamily(familyNames) })
  if (issues.length > 0) return { kind: 'invalid', issues }
  return read({
    ...filter,
    ...(q !== '' && present({ text: q })),
    ...present({ type, state, tags: tag, addressesMin: addresses, run }),
    ...(usedPercent !== undefined && { usedShare: { percent: usedPercent, ...present({ family }) } }),
  })
}
