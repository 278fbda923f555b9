import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { toReading } from '#core/parsed.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { UserCursor } from '#core/user-list.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { advance } from './advance.ts'
import { type BulkParts, batchUsers, lostIssue, newRun, readBatch } from './batch.ts'
import { planFor } from './plan.ts'
import { bulkSchemas } from './schemas.ts'
import { lacking } from './scope.ts'
import { type BulkRequest, type BulkTarget, limitsOf, parseBulk, toBulkRun } from './wire.ts'

/** POST /admin/users/bulk: one action on many users, in batches. */
export function beginBulk(wire: UserWire): Operation {
  return {
    need: 'users:write',
    summary: 'Do one thing to many users',
    description:
      'Works for up to ten seconds; where `state` is `running` then, POST /admin/bulk/{id}/continue goes on. Each batch is ' +
      'written whole or not at all, and each user is changed once, however often a run is taken up again. `dryRun` says how ' +
      'many users it is for, and what would change for the first 100. Usage that is reset, tokens that are replaced and ' +
      'users who are purged cannot be taken back; all else can, for an hour. `rotate` answers no tokens: list or export ' +
      'the users with `run`. `purge` needs the scope `users:purge` and `confirm`.',
    request: { body: { ...jsonBody(bulkSchemas.body), required: true } },
    answer: { description: 'The run as far as it has come', schema: bulkSchemas.run },
    refusals: [...bodyRefusals, 'conflict'],
    async handle(c, parts) {
      const { bulkUsersMax, policy } = parts
      const body = await readJsonBody(c, parts, { member: 'ids', itemsMax: bulkUsersMax })
      if (body.kind === 'refused') return body
      const known = { timeZone: policy.timeZone, familyNames: wire.familyNames, now: parts.clock() }
      const asked = toReading(parseBulk(body.value, wire, known))
      if (asked.kind === 'refused') return asked
      const { action, target, isDryRun, confirmed } = asked.value
      const problem = lacking(c, { action })
      if (problem) return refused(problem)
      if (target.kind === 'ids' && target.ids.length > bulkUsersMax)
        return refused(
          createProblem(
            'body_too_large',
            `At most ${bulkUsersMax} ids in one call: name the users by a filter.`,
          ),
        )
      const bulkParts: BulkParts = { ...parts, wire, by: () => byOf(c, parts) }
      if (isDryRun) return answered(await tryOut(asked.value, bulkParts))
      const matched = await countOf(asked.value, bulkParts)
      if (confirmed !== undefined && confirmed !== matched) return refused(unconfirmed(confirmed, matched))
      const kept = action.kind === 'purge' ? await asIds(target, bulkParts, bulkUsersMax) : read(target)
      if (kept.kind === 'refused') return kept
      // Those who match only by now were not confirmed.
      if (kept.value.kind === 'ids' && kept.value.ids.length !== matched)
        return refused(unconfirmed(matched, kept.value.ids.length))
      const actor = c.get('adminKey')?.name ?? ''
      const begun = { action, target: kept.value, actor, matched }
      const run = await parts.store.bulk.insertRun(begun, byOf(c, parts))
      return answered(toBulkRun(await advance(run, bulkParts)))
    },
  }
}

function unconfirmed(confirmed: number, matched: number): Problem {
  return createProblem('conflict', `It is for ${matched} users, not ${confirmed}: do a dry run again.`)
}

/**
 * The users of a filter as a list, so that what cannot be undone is done to none who matches later.
 * @param limit the most users of one call
 */
async function asIds(
  target: BulkTarget,
  { store, clock }: BulkParts,
  limit: number,
): Promise<Reading<BulkTarget>> {
  if (target.kind === 'ids') return read(target)
  const ids: string[] = []
  let after: UserCursor | undefined
  do {
    const request = { filter: target.filter, limit: batchUsers, now: clock(), ...present({ after }) }
    const page = await store.users.listUsers(request)
    ids.push(...page.users.map(({ id }) => id), ...(page.unreadable ?? []))
    after = page.next
    if (ids.length > limit)
      return refused(
        createProblem('body_too_large', `At most ${limit} users are purged in one call: narrow the filter.`),
      )
  } while (after)
  return read({ kind: 'ids', ids })
}

function countOf({ target }: BulkRequest, { store, clock }: BulkParts): Promise<number> {
  return target.kind === 'ids'
    ? Promise.resolve(target.ids.length)
    : store.users.countUsers(target.filter, clock())
}

const shownMax = 100

async function tryOut(request: BulkRequest, parts: BulkParts): Promise<object> {
  const { action, target } = request
  const { users, lost } = await readBatch(newRun(action, target), parts, shownMax)
  const now = parts.clock()
  const limits = limitsOf(action, parts.wire)
  const plans = users.map((user) => ({
    user,
    plan: planFor(user, action, { policy: parts.policy, limits, now }),
  }))
  return {
    dryRun: true,
    action,
    matched: await countOf(request, parts),
    users: plans.map(({ user, plan }) => ({
      id: user.id,
      ...(user.nickname !== undefined && { nickname: user.nickname }),
      changes:
        plan.kind === 'edit'
          ? plan.changes.map(({ path, before, after }) => ({ field: path, before, after }))
          : [],
    })),
    errors: [
      ...lost.map((user) => ({ user, ...lostIssue })),
      ...plans.flatMap(({ user, plan }) =>
        plan.kind === 'invalid' ? plan.issues.map((issue) => ({ user: user.id, ...issue })) : [],
      ),
    ],
  }
}
