import { type ExpressionBuilder, type RawBuilder, type SelectQueryBuilder, sql } from 'kysely'
import type { Policy } from '#core/admission.ts'
import { periodOf } from '#core/admission.ts'
import { periods } from '#core/period.ts'
import { UNLIMITED } from '#core/user.ts'
import type { UsedShare, UserFilter } from '#core/user-list.ts'
import type { Schema } from '#storage/schema/tables.ts'

export type UserQuery<Selected> = SelectQueryBuilder<Schema, 'users', Selected>

/** The users of a filter; each condition reads rows of its own users, or of a narrow table once. */
export function filtered<Selected>(
  query: UserQuery<Selected>,
  filter: UserFilter,
  policy: Policy,
  now: number,
): UserQuery<Selected> {
  return conditionsOf(filter, policy, now).reduce((narrowed, condition) => narrowed.where(condition), query)
}

type Condition = (e: ExpressionBuilder<Schema, 'users'>) => ReturnType<typeof inState> | RawBuilder<boolean>

function conditionsOf(filter: UserFilter, policy: Policy, now: number): readonly Condition[] {
  const { text = '', ids, type, state, tags = [], usedFrom, usedBefore, usedShare, addressesMin = 0 } = filter
  const { run } = filter
  const conditions: Condition[] = []
  if (ids !== undefined) conditions.push((e) => e('id', 'in', ids))
  if (type !== undefined) conditions.push((e) => e('type', '=', type))
  if (state !== undefined) conditions.push((e) => inState(e, state, now))
  for (const tag of tags) conditions.push(() => sql<boolean>`id in (${withTag(tag)})`)
  if (run !== undefined)
    conditions.push(() => sql<boolean>`id in (select user_id from bulk_changes where run_id = ${run})`)
  if (usedFrom !== undefined) conditions.push((e) => e('last_used_at', '>=', usedFrom))
  if (usedBefore !== undefined)
    conditions.push((e) => e.or([e('last_used_at', 'is', null), e('last_used_at', '<', usedBefore)]))
  if (addressesMin > 0)
    conditions.push(
      () =>
        sql<boolean>`(select count(*) from addresses where addresses.user_id = users.id) >= ${addressesMin}`,
    )
  if (usedShare !== undefined) conditions.push(() => hasUsed(usedShare, policy, now))
  // The last, since it costs the most.
  if (text !== '') conditions.push(() => mentions(text))
  return conditions
}

/** The ids of the users who carry a tag. */
export function withTag(tag: string): RawBuilder<unknown> {
  return sql`select user_id from user_tags where tag = ${tag}`
}

function mentions(text: string): RawBuilder<boolean> {
  // LIKE's wildcards within the text are escaped.
  const pattern = `%${text.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`
  return sql<boolean>`(search like ${pattern} escape '\\'
    or id in (select user_id from search_texts where words like ${pattern} escape '\\'))`
}

/** The same rules as `viewQuota`: a quota of an earlier period counts from zero. */
function hasUsed({ percent, family }: UsedShare, policy: Policy, now: number): RawBuilder<boolean> {
  const usual = periodOf({}, policy)
  const starts = periods.map((period) => {
    return sql`when ${sql.lit(period)} then ${sql.lit(policy.periodAt(period, now).startAt)}`
  })
  const startAt = sql`case coalesce(users.period, ${sql.lit(usual)}) ${sql.join(starts, sql` `)} end`
  const defaults = Object.entries(policy.limits).map(
    ([name, limit]) => sql`when ${name} then ${sql.lit(limit)}`,
  )
  const byDefault =
    defaults.length === 0
      ? sql.lit(UNLIMITED)
      : sql`case quotas.family ${sql.join(defaults, sql` `)} else ${sql.lit(UNLIMITED)} end`
  const own = sql`coalesce(quotas.quota_limit, ${byDefault})`
  const limit = sql`cast(${own} + quotas.period_bonus as double precision)`
  const those = family === undefined ? sql`` : sql`and quotas.family = ${family}`
  return sql<boolean>`(users.type <> 'special' and exists (select 1 from quotas
    where quotas.user_id = users.id ${those} and ${own} <> ${sql.lit(UNLIMITED)} and ${limit} > 0
    and quotas.period_started_at >= ${startAt} and quotas.used * 100.0 >= ${limit} * ${sql.lit(percent)}))`
}

function inState(
  e: ExpressionBuilder<Schema, 'users'>,
  state: NonNullable<UserFilter['state']>,
  now: number,
) {
  switch (state) {
    case 'disabled':
      return e('disabled_at', '<=', now)
    case 'expired':
      return e('expires_at', '<=', now)
    case 'active':
      return e.and([
        e.or([e('disabled_at', 'is', null), e('disabled_at', '>', now)]),
        e.or([e('expires_at', 'is', null), e('expires_at', '>', now)]),
      ])
  }
}
