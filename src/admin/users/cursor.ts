import { z } from '@hono/zod-openapi'
import { decodeCursor, encodeCursor } from '#admin/request/cursor.ts'
import { lineField, tagField, timeField, wholeField } from '#admin/wire/fields.ts'
import { userTypes } from '#core/user.ts'
import { addressesMax } from '#core/user-edit.ts'
import { isUserId } from '#core/user-id.ts'
import type { UserCursor, UserFilter, UserSortField } from '#core/user-list.ts'
import { present } from '#lib/present.ts'

/**
 * Where a list of users continues. The cursor carries the whole query (filter and sort) and the count from the first
 * page. So a late page costs as much as the first one, and a cursor cannot be used with another list.
 */
export interface ListCursor {
  readonly total: number
  readonly sort: string | undefined
  readonly filter: UserFilter
  readonly after: UserCursor
}

export const sortFields: readonly UserSortField[] = [
  'createdAt',
  'lastUsedAt',
  'expiresAt',
  'nickname',
  'promptCount',
]
export const sortNames = sortFields.flatMap((field) => [field, `-${field}`])
export const userStates = ['active', 'disabled', 'expired'] as const
/** How many tags one list can be narrowed by. */
export const tagsAskedMax = 5
export const percentMax = 1_000

const encoded = z.object({
  total: z.int().min(0).max(2_147_483_647),
  sort: z.enum(sortNames).optional(),
  q: z.string().max(200).optional(),
  type: z.enum(userTypes).optional(),
  state: z.enum(userStates).optional(),
  tags: z.array(tagField()).max(tagsAskedMax).optional(),
  usedFrom: timeField().optional(),
  usedBefore: timeField().optional(),
  percent: wholeField(1, percentMax).optional(),
  family: lineField(256).optional(),
  addressesMin: wholeField(1, addressesMax).optional(),
  value: z.union([z.string(), z.int(), z.null()]),
  id: z.string().refine(isUserId),
})

export function encodeListCursor({ total, sort, filter, after }: ListCursor): string {
  const { text: q, usedShare: { percent, family } = {}, ...rest } = filter
  const fields = { total, sort, q, ...rest, percent, family, value: after.value, id: after.id }
  return encodeCursor(fields)
}

/** Undefined where the text is not a cursor of this API. */
export function parseListCursor(text: string): ListCursor | undefined {
  const parsed = encoded.safeParse(decodeCursor(text))
  if (!parsed.success) return undefined
  const { total, sort, q, percent, family, value, id, ...rest } = parsed.data
  // A value of another type than the column's would be an error in the database.
  const isText = sort === 'nickname' || sort === '-nickname'
  if (value !== null && (typeof value === 'string') !== isText) return undefined
  const filter = {
    ...(q !== undefined && { text: q }),
    ...present(rest),
    ...(percent !== undefined && { usedShare: { percent, ...present({ family }) } }),
  }
  return { total, sort, filter, after: { value, id } }
}
