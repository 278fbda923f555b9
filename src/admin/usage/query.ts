import type { z } from '@hono/zod-openapi'
import { type Parsed, parseBy } from '#core/parsed.ts'
import {
  type UsageDimension,
  type UsageQuestion,
  usageDimensions,
  userDimensions,
} from '#core/usage-question.ts'
import { read } from '#lib/reading.ts'
import { parseDimensions, parseUsageRange } from '#metering/usage-range.ts'
import { usageQuerySchema, userUsageQuerySchema } from './schemas.ts'

export interface UsageQuery {
  readonly question: UsageQuestion
  readonly format: 'json' | 'csv' | undefined
}

const dayMs = 86_400_000

/** A query on usage. With `userId` it is about one user, and cannot be grouped by user. */
export function parseUsageQuery(
  values: ReadonlyMap<string, string>,
  known: { readonly now: number; readonly timeZone: string; readonly userId?: string },
): Parsed<UsageQuery> {
  const { now, timeZone, userId } = known
  const fields = Object.fromEntries(values)
  const asked =
    userId === undefined ? parseBy(usageQuerySchema, fields) : parseBy(userUsageQuerySchema, fields)
  const range = parseUsageRange(values, { now, timeZone, lengthMs: dayMs })
  const groupBy = parseDimensions(values.get('groupBy'), dimensionsOf(userId))
  if (asked.kind === 'invalid' || range.kind === 'invalid' || groupBy.kind === 'invalid') {
    const issues = [asked, range, groupBy].flatMap((each) => (each.kind === 'invalid' ? each.issues : []))
    return { kind: 'invalid', issues }
  }
  const { limit, format } = asked.value
  // Without a user in the path, the schema has checked the parameter.
  const whose = userId ?? values.get('user')
  const tag = userId === undefined ? values.get('tag') : undefined
  const question = {
    ...range.value,
    groupBy: groupBy.value,
    ...(whose !== undefined && { userId: whose }),
    ...(tag !== undefined && { tag }),
    ...filtersOf(asked.value),
    limit,
  }
  return read({ question, format })
}

function dimensionsOf(userId: string | undefined): readonly UsageDimension[] {
  return userId === undefined
    ? usageDimensions
    : usageDimensions.filter((dimension) => !userDimensions.includes(dimension))
}

function filtersOf({ family, model, upstream, status }: z.output<typeof userUsageQuerySchema>) {
  return {
    ...(family !== undefined && { family }),
    ...(model !== undefined && { model }),
    ...(upstream !== undefined && { upstream }),
    ...(status !== undefined && { status }),
  }
}
