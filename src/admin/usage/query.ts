import type { z } from '@hono/zod-openapi'
import type { Parsed } from '#admin/users/wire.ts'
import { toIssues } from '#admin/wire/issues.ts'
import type { Issue } from '#core/errors.ts'
import { type UsageDimension, type UsageQuestion, usageDimensions } from '#core/usage-question.ts'
import { readDimensions, readUsageRange } from '#metering/usage-range.ts'
import { usageQuerySchema, userUsageQuerySchema } from './schemas.ts'

export interface UsageQuery {
  readonly question: UsageQuestion
  readonly format: 'json' | 'csv' | undefined
}

const dayMs = 86_400_000

/**
 * What a query asks of usage. With `userId` it is one user's, and cannot be grouped by user.
 */
export function parseUsageQuery(
  values: ReadonlyMap<string, string>,
  known: { readonly now: number; readonly timeZone: string; readonly userId?: string },
): Parsed<UsageQuery> {
  const { now, timeZone, userId } = known
  const fields = Object.fromEntries(values)
  const parsed =
    userId === undefined ? usageQuerySchema.safeParse(fields) : userUsageQuerySchema.safeParse(fields)
  const range = readUsageRange(values, { now, timeZone, lengthMs: dayMs })
  const groupBy = readDimensions(values.get('groupBy'), dimensionsOf(userId))
  const issues: Issue[] = [
    ...(parsed.success ? [] : toIssues(parsed.error, [])),
    ...(range.kind === 'invalid' ? range.issues : []),
    ...(groupBy.kind === 'invalid' ? groupBy.issues : []),
  ]
  if (!parsed.success || range.kind === 'invalid' || groupBy.kind === 'invalid')
    return { kind: 'invalid', issues }
  const { limit, format } = parsed.data
  // Where the path names nobody the schema has looked at it.
  const whose = userId ?? values.get('user')
  const question = {
    ...range.value,
    groupBy: groupBy.value,
    ...(whose !== undefined && { userId: whose }),
    ...filtersOf(parsed.data),
    limit,
  }
  return { kind: 'parsed', value: { question, format } }
}

function dimensionsOf(userId: string | undefined): readonly UsageDimension[] {
  return userId === undefined ? usageDimensions : usageDimensions.filter((dimension) => dimension !== 'user')
}

function filtersOf({ family, model, upstream, status }: z.output<typeof userUsageQuerySchema>) {
  return {
    ...(family !== undefined && { family }),
    ...(model !== undefined && { model }),
    ...(upstream !== undefined && { upstream }),
    ...(status !== undefined && { status }),
  }
}
